package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/netns"
)

func main() {
	netns.Main() // when this process was started to be a host
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	missed, err := dispatch(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case missed > 0:
		os.Exit(1)
	}
}

// dispatch is the benchmark, or one of the processes that it starts itself for the gateways.
func dispatch(ctx context.Context, args []string) (missed int, err error) {
	switch {
	case len(args) == 1 && args[0] == "agent":
		return 0, gateway.ServeStdio(ctx, handlers())
	case len(args) > 0 && args[0] == "measure":
		return 0, measureMain(ctx, args[1:])
	case len(args) > 0 && args[0] == "errand":
		return 0, errandMain(ctx, args[1:])
	}
	b := &bench{out: os.Stdout, log: os.Stderr}
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&only, "only", "", "run these `parts`, separated by commas: "+strings.Join(partNames(), ", "))
	flags.IntVar(&b.runs, "runs", 0, "make `N` runs of each thing; 0: as many as each part needs")
	flags.BoolVar(&b.verbose, "v", false, "show the commands and the time of each")
	flags.StringVar(&b.xdist, "xdist", "", "the xdist `executable`")
	flags.StringVar(&b.python, "python", "/usr/bin/python3", "the Python `interpreter` that has execnet")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	chosen, err := choose(only)
	if err != nil {
		return 0, err
	}
	if b.xdist == "" || flags.NArg() > 0 {
		return 0, errors.New("want -xdist and no arguments; sh bench/run.sh builds xdist and starts this")
	}
	return b.measureAll(ctx, chosen)
}

// comparison is one of the parts: a thing that is measured.
type comparison struct {
	name string
	run  func(*bench, context.Context) (*table, error)
}

func parts() []comparison {
	return []comparison{
		{"suites", (*bench).warmSuites},
		{"first", (*bench).firstRuns},
		{"wide", (*bench).wide},
		{"learned", (*bench).learned},
		{"red", (*bench).red},
		{"plan", (*bench).plan},
		{"scale", (*bench).scale},
		{"reporters", (*bench).reporters},
		{"gateways", (*bench).gateways},
		{"memory", (*bench).memory},
		{"sync", (*bench).syncs},
		{"ssh", (*bench).sshStart},
		{"network", (*bench).networks},
	}
}

func partNames() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// choose returns the parts named in a list; all of them for the empty one.
func choose(only string) ([]comparison, error) {
	if only == "" {
		return parts(), nil
	}
	var chosen []comparison
	for name := range strings.SplitSeq(only, ",") {
		all := parts()
		if name == "gateway" {
			name = "gateways" // as the part was called before
		}
		i := slices.IndexFunc(all, func(p comparison) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only %q: want some of %s", name, strings.Join(partNames(), ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// measureAll runs the parts one after the other, prints each table when it is complete, and returns
// how many limits were missed.
func (b *bench) measureAll(ctx context.Context, chosen []comparison) (missed int, err error) {
	if b.work, err = os.MkdirTemp("", "xdist-bench-"); err != nil {
		return 0, fmt.Errorf("make a temporary directory: %w", err)
	}
	defer os.RemoveAll(b.work) // a rest does no harm
	cache, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(cache, 0o777)
	}
	if err == nil {
		b.stores, err = os.MkdirTemp(cache, "xdist-bench-")
	}
	if err != nil {
		return 0, fmt.Errorf("make a directory for stores: %w", err)
	}
	defer os.RemoveAll(b.stores) // a rest does no harm

	fmt.Fprintf(b.out, "%s %s/%s, %d cores%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, gateway.UsableCPUs(), load())
	for _, p := range chosen {
		t, err := p.run(b, ctx)
		switch {
		case errors.Is(err, errUnavailable):
			fmt.Fprintf(b.out, "\nskipped: %s, because %v\n", p.name, err)
			continue
		case err != nil:
			if t != nil {
				t.print(b.out) // what there was time for
			}
			return missed, fmt.Errorf("%s: %w", p.name, err)
		}
		t.print(b.out)
		missed += t.missed
	}
	fmt.Fprintf(b.out, "\n%d limits missed\n", missed)
	return missed, nil
}

// load tells how busy the machine was before, where the system says so.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	minute, _, _ := strings.Cut(string(data), " ")
	return ", load before " + minute
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/xdist-go/xdist/integration/internal/compare"
	"github.com/xdist-go/xdist/integration/netns"
)

// pinned are the modules, with versions whose tests were seen to run without a network.
var pinned = [...]string{
	"github.com/spf13/cobra@v1.10.2",
	"github.com/BurntSushi/toml@v1.6.0",
	"github.com/gin-gonic/gin@v1.12.0",
	"golang.org/x/text@v0.43.0",
	"github.com/hashicorp/yamux@v0.1.2",
	"github.com/hashicorp/raft@v1.8.0",
	"github.com/spf13/afero@v1.15.0",
	"github.com/hashicorp/memberlist@v0.7.0",
	"github.com/google/uuid@v1.6.0",
	"gotest.tools/gotestsum@v1.13.0",
}

// options are the command line.
type options struct {
	only  string // part of a module's path
	xdist string // path of the command
	n     int    // gateways
	ssh   bool   // to a host of its own
	tx    specs
	dist  string
	keep  bool // leave the temporary directory

	where where // from n, ssh and tx
}

func main() {
	netns.Main()
	var o options
	flag.StringVar(&o.only, "only", "", "run only the modules whose path contains `MODULE`")
	flag.StringVar(&o.xdist, "xdist", "", "`PATH` of the command; built from ./cmd/xdist by default")
	flag.IntVar(&o.n, "n", 0, "number of popen or ssh gateways; 4 and 2 by default")
	flag.BoolVar(&o.ssh, "ssh", false, "run over ssh gateways on a host of its own, which has neither Go nor the sources")
	flag.Var(&o.tx, "tx", "run over the gateways of `SPEC`; may be repeated")
	flag.StringVar(&o.dist, "dist", "load", "xdist's --dist")
	flag.BoolVar(&o.keep, "keep", false, "keep the copies of the modules and the event streams")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	unexplained, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fidelity:", err)
		os.Exit(2)
	}
	if unexplained > 0 {
		fmt.Fprintf(os.Stderr, "fidelity: %d differences without a shown cause\n", unexplained)
		os.Exit(1)
	}
}

// run returns how many differences have no shown cause.
func run(ctx context.Context, o options) (unexplained int, err error) {
	tmp, err := os.MkdirTemp("", "xdist-fidelity-")
	if err != nil {
		return 0, err
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, "fidelity: keeping", tmp)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	}
	if o.xdist == "" {
		o.xdist = filepath.Join(tmp, "xdist")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", o.xdist, "github.com/xdist-go/xdist/cmd/xdist").CombinedOutput(); err != nil {
			return 0, fmt.Errorf("build xdist: %w\n%s", err, out)
		}
	} else if o.xdist, err = filepath.Abs(o.xdist); err != nil {
		return 0, err
	}
	if o.where, err = place(ctx, o, tmp); err != nil {
		return 0, err
	}
	if o.where.close != nil {
		defer func() { err = errors.Join(err, o.where.close()) }()
	}
	restore, err := keepRoot()
	if err != nil {
		return 0, err
	}
	var results []result
	for _, module := range pinned {
		if !strings.Contains(module, o.only) {
			continue
		}
		fmt.Fprintln(os.Stderr, "fidelity:", module)
		r, err := checkModule(ctx, o, tmp, module)
		if err = errors.Join(err, restore()); err != nil {
			return 0, fmt.Errorf("check %s: %w", module, err)
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return 0, fmt.Errorf("no module matches -only %q", o.only)
	}
	return report(results), nil
}

// place says where tests run.
func place(ctx context.Context, o options, tmp string) (where, error) {
	or := func(n int) int {
		if o.n > 0 {
			return o.n
		}
		return n
	}
	switch {
	case o.ssh:
		dir := filepath.Join(tmp, "ssh")
		if err := os.Mkdir(dir, 0o700); err != nil {
			return where{}, err
		}
		return openHost(ctx, dir, or(2))
	case len(o.tx) > 0:
		return where{tx: o.tx}, nil
	}
	return where{tx: []string{fmt.Sprintf("%d*popen", or(4))}}, nil
}

// result is what became of one module.
type result struct {
	module             string
	want, got          *compare.Model
	goTime, xdistTime  time.Duration
	goStatus, ourState int
	findings           []finding
}

// report prints the table and the differences and counts those without a cause.
func report(results []result) (unexplained int) {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "module\tpackages\tgo test: pass\tfail\tskip\txdist: pass\tfail\tskip\tgo test\txdist\tdifferences\tunexplained")
	for _, r := range results {
		unknown := 0
		for _, f := range r.findings {
			if !f.shown {
				unknown++
			}
		}
		g, x := r.want.Counts(), r.got.Counts()
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1fs\t%.1fs\t%d\t%d\n", r.module, len(r.want.Packages), g["pass"], g["fail"], g["skip"],
			x["pass"], x["fail"], x["skip"], r.goTime.Seconds(), r.xdistTime.Seconds(), len(r.findings), unknown)
		unexplained += unknown
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "fidelity:", err)
	}
	for _, r := range results {
		for _, f := range r.findings {
			fmt.Printf("\n%s: %s\n\tgot %q, want %q\n\tcause: %s\n", r.module, f.name, f.Got, f.Want, f.cause)
		}
	}
	return unexplained
}

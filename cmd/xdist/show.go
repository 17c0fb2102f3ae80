package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/internal/cmdline"
	"github.com/xdist-go/xdist/reporters/outputs"
)

func showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "print what a test of the last runs has printed, one that passed too",
		UsageText: "xdist show [--run RUN] ID",
		Description: "ID is as reports have it: importpath::TestName/sub, dir/of/package::TestName, dir/of/package.TestName, or a package for what\n" +
			"belongs to none of its tests. Each attempt has a line of its own in front, === with what became of it. The last runs of each\n" +
			"module are kept in the cache directory, but for those with --no-history.",
		HideHelpCommand: true,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "of `RUN`, by the start of its id as xdist history runs has it", DefaultText: "the newest run that has the test"},
		}, cacheFlags()...),
		Action: show,
	}
}

// outputStore is where the outputs of the module of a directory are kept.
func outputStore(c *cli.Context, dir string) (outputs.Store, error) {
	cache, _, err := cachePlace(c)
	if err != nil {
		return outputs.Store{}, err
	}
	return outputs.Store{Dir: filepath.Join(cache, "outputs"), Module: moduleOf(dir)}, nil
}

// wanted is what xdist show looks for.
type wanted struct {
	arg     string
	path    string // an import path
	test    string // with its subtest; "" is the package
	subtest bool
}

func newWanted(arg string) wanted {
	w := wanted{arg: arg}
	path := ""
	if id, ok := parseID(".", arg); ok {
		path, w.test = id.path, id.test
	} else {
		path = placed(".", arg)
	}
	w.path, w.subtest = importPathOf(path), strings.Contains(w.test, "/")
	return w
}

// importPathOf is the import path of a directory that begins with ./, by the go.mod above it, and
// any other path itself.
func importPathOf(path string) string {
	if !strings.HasPrefix(path, "./") {
		return path
	}
	dir, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	root, module := moduleAbove(dir)
	rel, err := filepath.Rel(root, dir)
	switch {
	case module == "" || err != nil:
		return path
	case rel == ".":
		return module
	}
	return module + "/" + filepath.ToSlash(rel)
}

// is reports whether the record is of what is wanted.
func (w wanted) is(r *outputs.Record) bool {
	path, _, _ := history.SplitShown(r.Package)
	root, _, _ := strings.Cut(w.test, "/")
	return r.Test == root && (path == w.path || r.Package == w.path)
}

// has reports whether a piece of output is: all of a test, or of a subtest and those below it.
func (w wanted) has(p outputs.Piece) bool {
	return !w.subtest || p.Test == w.test || strings.HasPrefix(p.Test, w.test+"/")
}

func show(c *cli.Context) error {
	if c.NArg() != 1 {
		return usageError(errors.New("xdist show: which test? Give one id, as reports have it; flags go before it"))
	}
	store, err := outputStore(c, ".")
	if err != nil {
		return classify(err)
	}
	runs, err := store.Runs()
	if err != nil {
		return err
	}
	if name := c.String("run"); name != "" && name != "last" {
		runs = slices.DeleteFunc(runs, func(r outputs.Run) bool { return !strings.HasPrefix(r.ID, name) })
		if len(runs) == 0 {
			return usageError(fmt.Errorf("--run %s: no such run is kept; xdist history runs lists what there was", name))
		}
	} else if name == "last" {
		runs = runs[:min(len(runs), 1)]
	}
	if len(runs) == 0 {
		return usageError(fmt.Errorf("no run of %s is kept: the next one will be, unless it has --no-history", store.Module))
	}
	return showFrom(c.App.Writer, runs, newWanted(c.Args().First()))
}

// showFrom prints what is wanted from the first of the runs that has it.
func showFrom(w io.Writer, runs []outputs.Run, want wanted) error {
	out := bufio.NewWriter(w)
	known := map[string]bool{}
	for _, run := range runs {
		found := false
		for r, err := range run.Records() {
			if err != nil {
				return err
			}
			if !want.is(&r) || !want.write(out, run, &r) {
				known[idOf(&r)] = true
				continue
			}
			found = true
		}
		if found {
			return out.Flush()
		}
	}
	ids := make([]string, 0, len(known))
	for id := range known {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	hint := ""
	if near := cmdline.Nearest(want.path+"::"+want.test, ids); near != "" {
		hint = "; did you mean " + near + "?"
	}
	return usageError(fmt.Errorf("%s: none of the %s that are kept has it%s", want.arg, plural(len(runs), "run"), hint))
}

func idOf(r *outputs.Record) string {
	path, _, _ := history.SplitShown(r.Package)
	if r.Test == "" {
		return path
	}
	return gotest.ID(path, r.Test)
}

// write prints a record, and reports whether it has anything of what is wanted: a subtest may not
// have run in all attempts. A subtest that has printed nothing is not in it either, but its line of
// go test is.
func (w wanted) write(out *bufio.Writer, run outputs.Run, r *outputs.Record) bool {
	if w.subtest && !slices.ContainsFunc(r.Pieces, w.has) {
		return false
	}
	name := w.test
	if name == "" {
		name = "package"
	}
	fmt.Fprintf(out, "=== %s  %s  %s  %s", name, r.Package, r.Action, time.Duration(r.Elapsed*float64(time.Second)).Round(time.Millisecond))
	for _, word := range []string{r.Gateway, r.Platform} {
		if word != "" {
			fmt.Fprintf(out, "  %s", word)
		}
	}
	if r.Attempt > 1 {
		fmt.Fprintf(out, "  attempt %d", r.Attempt)
	}
	if r.Why != "" {
		fmt.Fprintf(out, "  does not count: %s", r.Why)
	}
	fmt.Fprintf(out, "  run %s of %s\n", shortID(run.ID), run.Time.Local().Format(time.DateTime))
	ended := true
	for _, p := range r.Pieces {
		if w.has(p) && p.Output != "" {
			out.WriteString(p.Output)
			ended = strings.HasSuffix(p.Output, "\n")
		}
	}
	if !ended {
		out.WriteByte('\n')
	}
	if r.Lost > 0 {
		fmt.Fprintf(out, "=== %d bytes in the middle were not kept\n", r.Lost)
	}
	return true
}

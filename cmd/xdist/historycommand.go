package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/reporters/html"
)

// historyShown is how many lines of each kind the history command prints, unless -n says otherwise.
const historyShown = 10

func historyCommand() *cli.Command {
	flags := append([]cli.Flag{
		&cli.IntFlag{Name: "n", Usage: "show at most `N` of each kind; 0 shows all", Value: historyShown},
		&cli.BoolFlag{Name: "json", Usage: "print JSON"},
	}, cacheFlags()...)
	page := &cli.StringFlag{Name: "html", Usage: "write a page for a browser to `FILE`: how long runs took, flaky tests by date, newly slow ones with the run that began it"}
	return &cli.Command{
		Name:            "history",
		Usage:           "show what earlier runs of this module taught: slowest, flaky and newly slow tests",
		UsageText:       "xdist history [-n N] [--json | --html FILE]\nxdist history runs [-n N] [--json]",
		HideHelpCommand: true,
		Flags:           append([]cli.Flag{page}, flags...),
		Action:          showHistory,
		Subcommands: []*cli.Command{
			{Name: "runs", Usage: "list the last runs with what was expected and what came of it", Flags: flags, Action: showRuns},
		},
	}
}

// shownBook opens the history for a command that shows it: what is wrong is an error here.
func shownBook(c *cli.Context) (*history.Book, error) {
	if c.Args().Present() {
		return nil, usageError(fmt.Errorf("xdist history: want nothing or runs, got %q%s", c.Args().First(), meant(c.Args().First(), []string{"runs"}, "")))
	}
	if n := c.Int("n"); n < 0 {
		return nil, usageError(fmt.Errorf("-n %d: want a number that is not negative", n))
	}
	book, err := openBook(c, ".")
	if err == nil && len(book.Runs()) == 0 && !c.Bool("json") {
		_, err = fmt.Fprintf(c.App.Writer, "no run of %s was recorded\n", moduleOf("."))
	}
	return book, err
}

// lastFailure is when a test failed last, of what is kept of its runs.
func lastFailure(t history.TestSummary) time.Time {
	for _, s := range t.Seen { // newest first
		if s.Verdict != history.Pass && s.Verdict != history.Skip {
			return s.Time
		}
	}
	return time.Time{}
}

func showHistory(c *cli.Context) error {
	book, err := shownBook(c)
	if err != nil {
		return err
	}
	all := book.Tests()
	slowest := slices.Clone(all)
	slices.SortStableFunc(slowest, func(a, b history.TestSummary) int { return cmp.Compare(b.Cost, a.Cost) })
	flaky := slices.DeleteFunc(slices.Clone(all), func(s history.TestSummary) bool { return !s.Flaky })
	slices.SortStableFunc(flaky, func(a, b history.TestSummary) int { return cmp.Compare(b.Failures*a.Recent, a.Failures*b.Recent) })
	slower := slices.DeleteFunc(slices.Clone(all), func(s history.TestSummary) bool { return !s.Slower })
	slices.SortStableFunc(slower, func(a, b history.TestSummary) int { return cmp.Compare(b.Latest-b.Before, a.Latest-a.Before) })
	if file := c.String("html"); file != "" {
		slices.SortStableFunc(flaky, func(a, b history.TestSummary) int { return lastFailure(b).Compare(lastFailure(a)) })
		return html.WriteHistory(file, html.History{
			Module: moduleOf("."), Runs: book.Runs(), Flaky: flaky[:atMostShown(c, len(flaky))], Slower: slower[:atMostShown(c, len(slower))],
			Slowest: slowest[:atMostShown(c, len(slowest))], Several: several(all),
		})
	}
	idOf := namer(all)
	if c.Bool("json") {
		return printJSON(c.App.Writer, map[string][]testLine{
			"slowest": linesOf(c, slowest, newTestLine), "flaky": linesOf(c, flaky, newTestLine), "slower": linesOf(c, slower, newTestLine),
		})
	}
	var t textTable
	if len(slowest) > 0 {
		t.title("Slowest %d of %s", atMostShown(c, len(slowest)), plural(len(all), "test"))
	}
	for _, s := range slowest[:atMostShown(c, len(slowest))] {
		t.row(secondsOf(s.Cost), "± "+secondsOf(s.Spread), plural(s.Runs, "run"), idOf(s))
	}
	if len(flaky) > 0 {
		t.title("Flaky: %d", len(flaky))
	}
	for _, s := range flaky[:atMostShown(c, len(flaky))] {
		t.row(fmt.Sprintf("%d of %d failed", s.Failures, s.Recent), idOf(s))
	}
	if len(slower) > 0 {
		t.title("Newly slow: %d", len(slower))
	}
	for _, s := range slower[:atMostShown(c, len(slower))] {
		t.row(secondsOf(s.Before), "→ "+secondsOf(s.Latest), idOf(s))
	}
	return t.write(c.App.Writer)
}

// atMostShown is how many of n lines -n lets through.
func atMostShown(c *cli.Context, n int) int {
	if most := c.Int("n"); most > 0 {
		return min(n, most)
	}
	return n
}

// namer returns what shows the id of a test, with its platform where there are several.
func namer(all []history.TestSummary) func(history.TestSummary) string {
	several := several(all)
	return func(s history.TestSummary) string {
		id := gotest.ID(s.Package, s.Test)
		if several && s.Platform != "" {
			id += " [" + s.Platform + "]"
		}
		return id
	}
}

// several reports whether tests ran on several platforms.
func several(all []history.TestSummary) bool {
	return slices.ContainsFunc(all, func(s history.TestSummary) bool { return s.Platform != all[0].Platform })
}

func showRuns(c *cli.Context) error {
	book, err := shownBook(c)
	if err != nil {
		return err
	}
	runs := book.Runs()
	if c.Bool("json") {
		return printJSON(c.App.Writer, linesOf(c, runs, newRunLine))
	}
	runs = runs[:atMostShown(c, len(runs))]
	var t textTable
	if len(runs) > 0 {
		t.title("Last %s", plural(len(runs), "run"))
		t.row("run", "began", "took", "at best", "gateways", "tests", "failed", "expected", "actual", "off by", "command")
	}
	for _, r := range runs {
		t.row(shortID(r.ID), r.Time.Local().Format(time.DateTime), secondsOf(r.Elapsed), secondsIf(r.Bound), gatewaysOf(r), fmt.Sprint(r.Tests), fmt.Sprint(r.Failed),
			secondsIf(r.Expected), secondsIf(r.Actual), missOf(r), strings.Join(r.Command, " "))
	}
	return t.write(c.App.Writer)
}

// gatewaysOf names the gateways of a run, or counts them where their names were not recorded.
func gatewaysOf(r history.RunSummary) string {
	if len(r.Ran) == 0 {
		return fmt.Sprint(r.Gateways)
	}
	ids := slices.SortedFunc(slices.Values(r.Ran), func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	var out []string
	for len(ids) > 0 {
		n := 1
		for n < len(ids) && follows(ids[n-1], ids[n]) {
			n++
		}
		if n > 2 {
			out = append(out, ids[0]+"-"+ids[n-1])
		} else {
			out = append(out, ids[:n]...)
		}
		ids = ids[n:]
	}
	return strings.Join(out, ",")
}

// follows reports whether b is the name that a group gives after a.
func follows(a, b string) bool {
	m, errA := strconv.Atoi(strings.TrimPrefix(a, "gw"))
	n, errB := strconv.Atoi(strings.TrimPrefix(b, "gw"))
	return errA == nil && errB == nil && n == m+1 && strings.HasPrefix(a, "gw") && strings.HasPrefix(b, "gw")
}

// shortID is what is enough of a run's id to name it.
func shortID(id string) string { return id[:min(len(id), 8)] }

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprint(n, " ", noun)
}

func secondsOf(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }

// secondsIf is a dash for what is not known.
func secondsIf(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return secondsOf(d)
}

func missOf(r history.RunSummary) string {
	if r.MedianMiss == 0 {
		return "-"
	}
	return fmt.Sprintf("×%.2f", r.MedianMiss)
}

// textTable prints rows in columns below titles; each title begins a table of its own.
type textTable struct {
	parts []tablePart
}

type tablePart struct {
	title string
	rows  [][]string
}

func (t *textTable) title(format string, args ...any) {
	t.parts = append(t.parts, tablePart{title: fmt.Sprintf(format, args...)})
}

// row adds to the last title.
func (t *textTable) row(cells ...string) {
	part := &t.parts[len(t.parts)-1]
	part.rows = append(part.rows, cells)
}

func (t *textTable) write(w io.Writer) error {
	out := bufio.NewWriter(w)
	for i, part := range t.parts {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "=== %s\n", part.title)
		part.write(out)
	}
	return out.Flush()
}

// write aligns all columns but the last to the right.
func (p tablePart) write(out io.Writer) {
	var widths []int
	for _, row := range p.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range p.rows {
		for i, cell := range row {
			if i < len(row)-1 {
				fmt.Fprintf(out, "%*s  ", widths[i], cell)
			} else {
				fmt.Fprintln(out, cell)
			}
		}
	}
}

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table is what one part prints. The zero value is empty.
type table struct {
	title  string
	head   []string
	rows   [][]string
	notes  []string // below the table
	missed int      // how many limits were missed
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// judge returns the cell that says whether the figure keeps the limit, and counts it if not.
func (t *table) judge(l limit, figure float64) string {
	switch {
	case l == limit{}:
		return ""
	case l.holds(figure):
		return "ok"
	}
	t.missed++
	return "MISSED"
}

// compare adds the row of two samples and the ratio of their medians, ours to the peer's.
func (t *table) compare(name string, u unit, peer, ours sample, l limit) {
	ratio := ours.median() / peer.median()
	t.add(name, u.summary(peer), u.summary(ours), fmt.Sprintf("%.2f", ratio), l.String(), t.judge(l, ratio))
}

// miss counts something beside the figures that makes a measurement worthless.
func (t *table) miss(format string, args ...any) {
	t.missed++
	t.note("MISSED: "+format, args...)
}

func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n", t.title)
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintf(tw, "  %s\n", strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	tw.Flush()
	for _, n := range t.notes {
		fmt.Fprintf(w, "  %s\n", n)
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	tab := &table{title: "title", head: []string{"suite", "go test", "xdist", "ratio", "limit", ""}}
	tab.compare("a", inSeconds, sample{2, 2.5, 1}, sample{1, 3, 0.5}, atMost(0.9))
	tab.compare("longer", inSeconds, sample{1}, sample{1}, atMost(0.9))
	tab.miss("%s is wrong", "longer")
	var out strings.Builder
	tab.print(&out)
	want := `
title

  suite    go test              xdist                ratio   limit
  a        2.00 s (1.00–2.50)   1.00 s (0.50–3.00)   0.50    ≤ 0.90   ok
  longer   1.00 s (1.00–1.00)   1.00 s (1.00–1.00)   1.00    ≤ 0.90   MISSED
  MISSED: longer is wrong
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("table (-want +got):\n%s", d)
	}
	if tab.missed != 2 {
		t.Errorf("%d limits missed, want 2", tab.missed)
	}
}

package main

import (
	"strings"
	"testing"
)

func TestAccount(t *testing.T) {
	runs := func(statuses ...int) []timing {
		var r []timing
		for _, s := range statuses {
			r = append(r, timing{status: s, log: "no such file"})
		}
		return r
	}
	for _, tt := range []struct {
		name       string
		peer, ours []timing
		missed     int
		note       string // part of the only note; empty for none
	}{
		{"all pass", runs(0, 0), runs(0, 0), 0, ""},
		{"only ours fails", runs(0, 0), runs(0, 1), 1, "1 of 2 runs of xdist failed and none of go test"},
		{"a failure is lost", runs(1, 1), runs(0, 0), 1, "every run of go test failed and none of xdist"},
		{"flaky on both sides", runs(0, 1), runs(1, 0), 0, "1 of 2 runs of go test and 1 of 2 of xdist failed"},
		{"flaky in go test alone", runs(0, 1), runs(0, 0), 0, "1 of 2 runs of go test and 0 of 2"},
		{"a failed build on both sides", runs(1, 1), runs(3, 3), 0, "2 of 2"},
		{"no verdict, though go test fails too", runs(1, 1), runs(1, 5), 1, "ended with status 5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tab table
			pairs{tt.peer, tt.ours}.account(&tab, module{name: "m"})
			if tab.missed != tt.missed {
				t.Errorf("%d limits missed, want %d", tab.missed, tt.missed)
			}
			if notes := strings.Join(tab.notes, "\n"); !strings.Contains(notes, tt.note) || (notes == "") != (tt.note == "") {
				t.Errorf("notes %q, want %q in them", notes, tt.note)
			}
		})
	}
}

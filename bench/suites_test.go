package main

import (
	"os"
	"path/filepath"
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
		{"only ours fails", runs(0, 0), runs(0, 1), 1, "1 of 2 runs of xdist failed ("},
		{"a failure is lost", runs(1, 1), runs(0, 0), 1, "every run of go test failed and none of xdist"},
		{"flaky on both sides", runs(0, 1), runs(1, 0), 0, "1 of 2 runs of go test failed ("},
		{"flaky in go test alone", runs(0, 1), runs(0, 0), 0, "and 0 of 2 of xdist"},
		{"a failed build on both sides", runs(1, 1), runs(3, 3), 0, "2 of 2 of xdist ("},
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

func TestFailedTests(t *testing.T) {
	dir := t.TempDir()
	var runs []timing
	for name, text := range map[string]string{
		"plain": "--- FAIL: TestB (0.00s)\n    --- FAIL: TestB/sub (0.00s)\nFAIL\n",
		"json":  `{"Action":"output","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}` + "\n",
		"xdist": "=== FAIL: . TestB (0.00s)\n=== FAIL: cmd/c ExampleC\n=== SKIP: . TestD (0.00s)\n",
	} {
		log := filepath.Join(dir, name)
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, timing{log: log})
	}
	if got, want := failedTests(runs), "ExampleC TestA TestB TestB/sub"; got != want {
		t.Errorf("failed tests %q, want %q", got, want)
	}
}

// TestAccountOfFlakySuite lets each side fail in every run, and xdist in more tests.
func TestAccountOfFlakySuite(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for log, text := range map[string]string{one: "--- FAIL: TestA (0s)\n", two: "--- FAIL: TestB (0s)\n--- FAIL: TestC (0s)\n"} {
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runs := func(logs ...string) []timing {
		var r []timing
		for _, log := range logs {
			r = append(r, timing{status: 1, log: log})
		}
		return r
	}
	for _, tt := range []struct {
		name       string
		peer, ours []timing
		missed     int
	}{
		{"as many", runs(one, one, one), runs(one, one, one), 0},
		{"more once", runs(one, one, one), runs(one, two, one), 0},
		{"more most of the time", runs(one, one, one), runs(two, two, one), 1},
		{"as many as the worst of go test", runs(one, two, one), runs(two, two, two), 0},
	} {
		var tab table
		pairs{tt.peer, tt.ours}.account(&tab, module{name: "m"})
		if tab.missed != tt.missed {
			t.Errorf("%s: %d limits missed, want %d: %v", tt.name, tab.missed, tt.missed, tab.notes)
		}
	}
}

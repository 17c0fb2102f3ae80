package main

import "testing"

func TestAddBenchmarks(t *testing.T) {
	all := make(map[string]map[string]sample)
	for _, out := range []string{
		"goos: linux\nBenchmarkPlan/known/1000-2 \t 1\t 5000 ns/op\t 0.5 µs/test\nBenchmarkOdd\nPASS\n",
		"BenchmarkPlan/known/1000 \t 1\t 7000 ns/op\t 0.7 µs/test\n",
	} {
		addBenchmarks(all, out)
	}
	if s := all["Plan/known/1000"]["µs/test"]; len(s) != 2 || s[0] != 0.5 || s[1] != 0.7 || len(all) != 1 {
		t.Errorf("read %v", all)
	}
}

func TestFillController(t *testing.T) {
	const name = "Controller/nodes=1000/tests=200000"
	for _, tt := range []struct {
		cost, memory float64
		missed       int
	}{{19_000, 500, 0}, {21_000, 500, 1}, {19_000, 1025, 1}} {
		var tab table
		err := fillController(&tab, map[string]map[string]sample{name: {
			"controller-ns/test": {tt.cost}, "nodes-ns/test": {3_000}, "MiB-from-system": {tt.memory}}})
		if err != nil || tab.missed != tt.missed {
			t.Errorf("%v ns and %v MiB: %v, %d limits missed, want %d", tt.cost, tt.memory, err, tab.missed, tt.missed)
		}
	}
	if err := fillController(new(table), nil); err == nil {
		t.Error("a benchmark that did not run is no error")
	}
}

// TestFillPlanning lets the cost of a test grow as log n does, and a little faster.
func TestFillPlanning(t *testing.T) {
	for _, tt := range []struct {
		last   float64 // of a million, when 1000 tests cost 3 each
		missed int
	}{{5.9, 0}, {6.1, 3}} {
		measured := make(map[string]map[string]sample)
		for _, how := range []string{"known", "unknown", "worksteal"} {
			for size, cost := range map[string]float64{"1000": 3, "10000": 4, "100000": 5, "1000000": tt.last} {
				measured["Plan/"+how+"/"+size] = map[string]sample{"µs/test": {cost}}
			}
		}
		var tab table
		if err := fillPlanning(&tab, measured); err != nil || tab.missed != tt.missed {
			t.Errorf("%v: %v, %d limits missed, want %d: %v", tt.last, err, tab.missed, tt.missed, tab.rows)
		}
	}
}

package main

import "testing"

func TestFillReporters(t *testing.T) {
	for _, tt := range []struct {
		cost, live float64
		missed     int
	}{{4_900, 49, 0}, {5_100, 49, 1}, {4_900, 51, 1}} {
		measured := make(map[string]map[string]sample)
		for _, name := range reporterNames {
			measured["Reporters/"+name] = map[string]sample{"cpu-ns/test": {tt.cost}, "close-ns/test": {1}, "live-MiB": {tt.live}, "top-MiB": {99}}
		}
		var tab table
		if err := fillReporters(&tab, measured); err != nil || tab.missed != tt.missed {
			t.Errorf("%v ns and %v MiB: %v, %d limits missed, want %d", tt.cost, tt.live, err, tab.missed, tt.missed)
		}
	}
	if err := fillReporters(new(table), nil); err == nil {
		t.Error("a benchmark that did not run is no error")
	}
}

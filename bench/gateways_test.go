package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gateway"
)

// smallWorkload is over at once.
var smallWorkload = workload{Starts: 2, Trips: 20, Items: 50, Blocks: 3, BlockSize: 100_000, Scripts: 10, InFlight: 300}

// TestMeasure does our side of the workload with this test binary as the agent.
func TestMeasure(t *testing.T) {
	t.Setenv(agentVariable, "1")
	cfg := gateway.Config{Command: []string{os.Args[0]}}
	python := "/usr/bin/python3"
	if err := exec.Command(python, "--version").Run(); err != nil {
		t.Skipf("skipped: no %s: %v", python, err)
	}
	m, err := measure(t.Context(), smallWorkload, cfg, cfg, python)
	if err != nil {
		t.Fatal(err)
	}
	if m.Tool <= 0 || m.Call <= 0 || m.Source <= 0 {
		t.Errorf("start of the tool took %v s, a call %v, a source %v", m.Tool, m.Call, m.Source)
	}
	checkMeasured(t, m)
}

// TestExecnetPeer does execnet's side of the same workload, and finds the same figures under the
// same names.
func TestExecnetPeer(t *testing.T) {
	python := "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import execnet").Run(); err != nil {
		t.Skipf("skipped: %s cannot import execnet (Debian: python3-execnet)", python)
	}
	load, err := json.Marshal(smallWorkload)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "execnet_peer.py", string(load))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	dec.DisallowUnknownFields()
	var m measured
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("decode %s: %v", out, err)
	}
	checkMeasured(t, m)
}

// checkMeasured reports figures that cannot be.
func checkMeasured(t *testing.T, m measured) {
	t.Helper()
	got := map[string]bool{
		"start": m.Start > 0 && m.Start < 60, "trip": m.Trip > 0 && m.Trip < m.Start,
		"script": m.Script > 0 && m.Script < 1, "itemsOut": m.ItemsOut > 0, "itemsIn": m.ItemsIn > 0,
		"bytesOut": m.BytesOut > m.ItemsOut, "bytesIn": m.BytesIn > m.ItemsIn,
	}
	want := map[string]bool{"start": true, "trip": true, "script": true, "itemsOut": true, "itemsIn": true, "bytesOut": true, "bytesIn": true}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("figures that can be (-want +got), of %+v:\n%s", m, d)
	}
}

// TestFillGateways checks which way each limit looks.
func TestFillGateways(t *testing.T) {
	peer := measured{Start: 3, Trip: 1, Script: 1, ItemsOut: 1, ItemsIn: 1, BytesOut: 1, BytesIn: 1, CPU: 2}
	for _, tt := range []struct {
		name   string
		ours   measured
		missed int
	}{
		{"all better", measured{Start: 1, Tool: 1, Trip: 0.4, Call: 0.6, Script: 1, Source: 3, ItemsOut: 10, ItemsIn: 10, BytesOut: 1.7, BytesIn: 1.7, CPU: 1}, 0},
		{"all worse", measured{Start: 1.1, Tool: 1.1, Trip: 1.1, Call: 1.7, Script: 1.1, Source: 3.4, InFlight: 101 << 20, InFlightThere: 101 << 20, ItemsOut: 9.9, ItemsIn: 9.9, BytesOut: 1.6, BytesIn: 1.6, CPU: 1.1}, 14},
	} {
		var tab table
		fillGateways(&tab, []measured{peer}, []measured{tt.ours})
		if tab.missed != tt.missed {
			t.Errorf("%s: %d limits missed, want %d", tt.name, tab.missed, tt.missed)
		}
	}
}

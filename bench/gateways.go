package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/xdist-go/xdist/gateway"
)

// inFlightLimit is what calls in flight may take of memory at either end, in bytes: 10 KiB for each
// of 10,000.
const inFlightLimit = 100 << 20

// execnetPeer is execnet's side of the comparison.
//
//go:embed execnet_peer.py
var execnetPeer []byte

// gateways compares gateways with execnet's, each side in a process of its own that times itself.
func (b *bench) gateways(ctx context.Context) (*table, error) {
	version, err := exec.CommandContext(ctx, b.python, "-c", "import execnet; print(execnet.__version__)").Output()
	if err != nil {
		return nil, fmt.Errorf("%s cannot import execnet (Debian: python3-execnet): %w", b.python, errUnavailable)
	}
	script := filepath.Join(b.work, "execnet_peer.py")
	if err := os.WriteFile(script, execnetPeer, 0o600); err != nil {
		return nil, fmt.Errorf("write execnet's side: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	runs := b.count(7)
	var peer, ours []measured
	for i := range runs + 1 {
		b.progress("gateways: run %d of %d", i, runs)
		p, err := b.side(ctx, nil, b.python, script)
		if err != nil {
			return nil, err
		}
		o, err := b.side(ctx, []string{b.xdist, b.python}, self, "measure")
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first is not counted
			peer, ours = append(peer, p), append(ours, o)
		}
	}
	t := &table{title: fmt.Sprintf("gateways: popen gateways next to execnet %.*s (%d runs each)", len(version)-1, version, runs)}
	fillGateways(t, peer, ours)
	return t, nil
}

// side runs one side, argv, a workload and more, and returns what it printed of the full workload
// and the processor time of the bulk.
func (b *bench) side(ctx context.Context, more []string, argv ...string) (measured, error) {
	m, err := b.load(ctx, fullWorkload, more, argv)
	if err != nil {
		return measured{}, err
	}
	bulk, err := b.load(ctx, bulkWorkload, more, argv)
	m.CPU = bulk.CPU
	return m, err
}

func (b *bench) load(ctx context.Context, w workload, more, argv []string) (measured, error) {
	load, err := json.Marshal(w)
	if err != nil {
		return measured{}, fmt.Errorf("encode the workload: %w", err)
	}
	run, err := b.run(ctx, b.work, slices.Concat(argv, []string{string(load)}, more)...)
	if err != nil {
		return measured{}, err
	}
	out, err := os.ReadFile(run.log)
	if err != nil {
		return measured{}, fmt.Errorf("run %s: %w", argv[0], err)
	}
	var m measured
	if err := json.Unmarshal(out, &m); err != nil || run.status != 0 {
		return m, fmt.Errorf("run %s: exit status %d:\n%s", argv[0], run.status, lastLines(run.log, 15))
	}
	m.CPU = run.cpu.Seconds()
	return m, nil
}

func fillGateways(t *table, peer, ours []measured) {
	t.head = []string{"", "execnet", "gateway", "ratio", "limit", ""}
	third, tenfold, bulk := atMost(1.0/3), atLeast(10), atLeast(1.7)
	t.compare("start to first answer", inMilliseconds, pick(peer, start), pick(ours, start), third)
	t.compare("same, xdist agent", inMilliseconds, pick(peer, start), pick(ours, toolStart), third)
	t.compare("round trip", inMicroseconds, pick(peer, trip), pick(ours, trip), atMost(1))
	t.compare("call of a function, beside remote_exec", inMicroseconds, pick(peer, script), pick(ours, call), atMost(0.7))
	t.compare("same, beside our round trip", inMicroseconds, pick(ours, trip), pick(ours, call), atMost(1.5))
	for _, side := range []struct {
		where string
		bytes sample
	}{{"here", pick(ours, inFlight)}, {"in the agent", pick(ours, inFlightThere)}} {
		t.add(fmt.Sprintf("%d calls in flight, memory %s", fullWorkload.InFlight, side.where), "", inMebibytes.summary(side.bytes), "",
			"≤ "+inMebibytes.show(inFlightLimit)+" MiB", t.judge(atMost(inFlightLimit), side.bytes.median()))
	}
	t.compare("Python source to first item", inMicroseconds, pick(peer, script), pick(ours, script), atMost(1))
	t.compare("Go source to first item, beside our start", inMilliseconds, pick(ours, start), pick(ours, source), atMost(3))
	t.compare("small items to agent", inThousands, pick(peer, itemsOut), pick(ours, itemsOut), tenfold)
	t.compare("small items from agent", inThousands, pick(peer, itemsIn), pick(ours, itemsIn), tenfold)
	t.compare("bulk to agent", inMegabytes, pick(peer, bytesOut), pick(ours, bytesOut), bulk)
	t.compare("bulk from agent", inMegabytes, pick(peer, bytesIn), pick(ours, bytesIn), bulk)
	t.compare("processor for 800 MB", inSeconds, pick(peer, cpu), pick(ours, cpu), atMost(1.0/2))
}

func start(m measured) float64         { return m.Start }
func toolStart(m measured) float64     { return m.Tool }
func trip(m measured) float64          { return m.Trip }
func script(m measured) float64        { return m.Script }
func call(m measured) float64          { return m.Call }
func inFlight(m measured) float64      { return m.InFlight }
func inFlightThere(m measured) float64 { return m.InFlightThere }
func source(m measured) float64        { return m.Source }
func itemsOut(m measured) float64      { return m.ItemsOut }
func itemsIn(m measured) float64       { return m.ItemsIn }
func bytesOut(m measured) float64      { return m.BytesOut }
func bytesIn(m measured) float64       { return m.BytesIn }
func cpu(m measured) float64           { return m.CPU }

// pick makes a sample of one figure of each run.
func pick(runs []measured, figure func(measured) float64) sample {
	var s sample
	for _, m := range runs {
		s = append(s, figure(m))
	}
	return s
}

// measureMain is the process of our side: it does the workload and prints what it measured.
func measureMain(ctx context.Context, args []string) error {
	var w workload
	if len(args) != 3 {
		return fmt.Errorf("measure: want a workload, the xdist executable and a Python")
	}
	if err := json.Unmarshal([]byte(args[0]), &w); err != nil {
		return fmt.Errorf("measure: decode the workload: %w", err)
	}
	m, err := measure(ctx, w, gateway.Config{}, gateway.Config{Command: []string{args[1], "agent"}}, args[2])
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

const (
	reportersLimit    = 5e-6 // seconds of processor time for a test, in all reporters together
	reportersMemory   = 50 << 20
	firstLineLimit    = 0.1 // seconds
	reportersMeasured = "Reporters"
)

// reporterNames are the parts of the benchmark of package reporters, in the order of the table.
var reporterNames = []string{"console", "events", "json", "ci", "html", "trace", "junit", "outputs", "history", "all"}

// reporters measures what the reports of a run cost, and when a run says its first words.
func (b *bench) reporters(ctx context.Context) (*table, error) {
	runs := b.count(5)
	t := &table{
		title: fmt.Sprintf("reporters: cost of a test in each, of 100,000 (medians of %d runs)", runs),
		head:  []string{"reporter", "CPU", "of that at the end", "live", "at most while it is written", "limit", ""},
	}
	b.progress("reporters: 100,000 tests")
	measured, err := b.ownBenchmarks(ctx, runs, "./reporters", "^Benchmark"+reportersMeasured+"$", "1x")
	if err != nil {
		return nil, err
	}
	if err := fillReporters(t, measured); err != nil {
		return nil, err
	}
	return t, b.firstLine(ctx, t)
}

func fillReporters(t *table, measured map[string]map[string]sample) error {
	for _, name := range reporterNames {
		m := measured[reportersMeasured+"/"+name]
		cpu, end, live, top := m["cpu-ns/test"], m["close-ns/test"], m["live-MiB"], m["top-MiB"]
		if len(cpu) == 0 || len(live) == 0 || len(end) == 0 || len(top) == 0 {
			return fmt.Errorf("read what Benchmark%s/%s measured: there is only %v", reportersMeasured, name, m)
		}
		cost, bytes := scaled(cpu, 1e-9), scaled(live, 1<<20)
		row := []string{name, inMicroseconds.summary(cost), inMicroseconds.summary(scaled(end, 1e-9)), inMebibytes.summary(bytes), inMebibytes.summary(scaled(top, 1<<20))}
		if name != "all" {
			t.add(row...)
			continue
		}
		t.add(append(row, fmt.Sprintf("≤ %s µs", inMicroseconds.show(reportersLimit)), t.judge(atMost(reportersLimit), cost.median()))...)
		t.add("all, live", "", "", inMebibytes.summary(bytes), "", fmt.Sprintf("≤ %s MiB", inMebibytes.show(reportersMemory)), t.judge(atMost(reportersMemory), bytes.median()))
	}
	return nil
}

// firstLine measures how long it takes until a run on a terminal has written something.
func (b *bench) firstLine(ctx context.Context, t *table) error {
	dir, err := b.fetch(ctx, chi)
	if err != nil {
		return err
	}
	store, remove, err := b.emptyStore()
	if err != nil {
		return err
	}
	defer remove()
	if _, err := b.runXdist(ctx, dir, chi, nil, store, warmStore); err != nil { // go's caches are warm, and the history knows it
		return err
	}
	var first sample
	for range b.count(5) {
		d, err := b.firstOutput(ctx, dir, b.xdistCommand(chi, nil, store)...)
		if errors.Is(err, errUnavailable) {
			t.note("skipped: the first line, because %v", err)
			return nil
		}
		if err != nil {
			return err
		}
		first = append(first, d.Seconds())
	}
	t.add("first line on a terminal, "+chi.name, inMilliseconds.summary(first), "", "", "", fmt.Sprintf("≤ %s ms", inMilliseconds.show(firstLineLimit)), t.judge(atMost(firstLineLimit), first.median()))
	return nil
}

// firstOutput runs a command on a terminal of 80 columns, until it has written something, and ends
// it.
func (b *bench) firstOutput(ctx context.Context, dir string, argv ...string) (time.Duration, error) {
	ours, theirs, err := openTerminal()
	if err != nil {
		return 0, err
	}
	defer ours.Close() // nothing was kept there
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.WaitDelay = dir, interruptWait
	cmd.Env = append(os.Environ(), "GOWORK=off", "PWD="+dir, "CI=", "GITHUB_ACTIONS=", "TERM=xterm")
	cmd.Stdout, cmd.Stderr = theirs, theirs
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	start := time.Now()
	err = cmd.Start()
	theirs.Close() // the command has it
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", argv[0], err)
	}
	_, readErr := io.ReadFull(ours, make([]byte, 1))
	first := time.Since(start)
	cmd.Process.Signal(os.Interrupt) // it may have ended
	io.Copy(io.Discard, ours)        // to its end, which is an error on Linux
	cmd.Wait()                       // for a status that says interrupted
	if readErr != nil {
		return 0, fmt.Errorf("read what %s writes first: %w", argv[0], readErr)
	}
	return first, nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// errUnavailable says that a part cannot be measured here. It is wrapped with the reason, which is
// printed.
var errUnavailable = errors.New("not available here")

// peakLimit is what the controller may take of memory, in bytes.
const peakLimit = 100 << 20

// memory measures the peak of the controller's own memory over x/text, the suite with the most
// packages. Its children, the compilers, linkers and tests, do not count.
func (b *bench) memory(ctx context.Context) (*table, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("peak memory is read from /proc: %w", errUnavailable)
	}
	runs := b.count(5)
	t := &table{
		title: fmt.Sprintf("memory: peak resident size of the xdist process on x/text (%d runs each)", runs),
		head:  []string{"store", "xdist", "limit", ""},
	}
	dir, err := b.fetch(ctx, text)
	if err != nil {
		return nil, err
	}
	store, remove, err := b.emptyStore()
	if err != nil {
		return nil, err
	}
	defer remove()
	var empty, warm sample
	for i := range runs {
		b.progress("memory: run %d of %d", i+1, runs)
		for _, s := range []*sample{&empty, &warm} {
			if s == &empty {
				os.RemoveAll(store) // xdist says so if that did not work
			}
			peak, run, err := b.peak(ctx, dir, b.xdistCommand(text, []string{"-n", "2"}, store)...)
			if err != nil {
				return nil, err
			}
			if !comparable(run.status) {
				t.miss("xdist ended with status %d:\n%s", run.status, lastLines(run.log, 15))
			}
			*s = append(*s, peak)
		}
	}
	for _, row := range []struct {
		name string
		s    sample
	}{{"empty", empty}, {"warm", warm}} {
		t.add(row.name, inMebibytes.summary(row.s), "≤ "+inMebibytes.show(peakLimit)+" MiB", t.judge(atMost(peakLimit), row.s.median()))
	}
	return t, nil
}

// peakInterval is how often the peak is read. The kernel keeps it, so that only what is added in
// the last interval before the end is missed.
const peakInterval = 5 * time.Millisecond

// peak runs a command and returns the largest resident size that its first process had, in bytes.
// The rusage of a waited-for process would not do: it is the maximum over the process and all of
// its children.
func (b *bench) peak(ctx context.Context, dir string, argv ...string) (float64, timing, error) {
	cmd, log, err := b.prepare(ctx, dir, argv)
	if err != nil {
		return 0, timing{}, err
	}
	defer log.Close() // the command wrote it
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, timing{}, fmt.Errorf("run %s: %w", argv[0], err)
	}
	var largest float64
	ended := make(chan error, 1) // never closed: the result of Wait
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(peakInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if v, err := residentPeak(cmd.Process.Pid); err == nil { // fails at the end, when the memory is gone
				largest = max(largest, v)
			}
		case err := <-ended:
			run, err := b.finish(ctx, cmd, err, start, log.Name())
			if err == nil && largest == 0 {
				err = fmt.Errorf("measure memory of %s: /proc never told it", argv[0])
			}
			return largest, run, err
		}
	}
}

// residentPeak reads what the kernel calls the high water mark, in bytes.
func residentPeak(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in %s", f.Name())
}

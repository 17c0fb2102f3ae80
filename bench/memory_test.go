package main

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// memoryVariable makes the test below the process that is measured.
const memoryVariable = "BENCH_TEST_MEMORY"

// TestPeak measures a process that takes little memory itself and lets a child take more.
func TestPeak(t *testing.T) {
	const parent, child = 20 << 20, 300 << 20 // bytes
	switch os.Getenv(memoryVariable) {
	case "parent":
		touch(parent)
		cmd := exec.Command(os.Args[0], "-test.run=^TestPeak$")
		cmd.Env = append(os.Environ(), memoryVariable+"=child")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	case "child":
		touch(child)
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("skipped: peak memory is read from /proc, which only Linux has")
	}
	t.Setenv(memoryVariable, "parent")
	b := &bench{work: t.TempDir(), log: io.Discard}
	peak, run, err := b.peak(t.Context(), b.work, os.Args[0], "-test.run=^TestPeak$")
	if err != nil || run.status != 0 {
		t.Fatalf("peak: %v, status %d:\n%s", err, run.status, lastLines(run.log, 10))
	}
	if peak < parent || peak > child/2 {
		t.Errorf("peak is %s MiB, want that of the process without its child's", inMebibytes.show(peak))
	}
}

// touch allocates n bytes and writes to each page.
func touch(n int) {
	b := make([]byte, n)
	for i := 0; i < n; i += os.Getpagesize() {
		b[i] = 1
	}
	runtime.KeepAlive(b)
}

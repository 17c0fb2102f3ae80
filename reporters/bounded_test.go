package reporters

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/reporters/ci"
	"github.com/xdist-go/xdist/scheduler/event"
)

// TestFloodsAreBounded has tests that run, and fail, with 160 MiB of output in all. What a reporter
// keeps of it stays below.
func TestFloodsAreBounded(t *testing.T) {
	text := strings.Repeat(strings.Repeat("x", 1023)+"\n", 1024)
	names := make([]string, 160)
	for i := range names {
		names[i] = fmt.Sprintf("TestX/%d", i)
	}
	junit := func(t *testing.T) event.Reporter {
		j, err := NewJUnit(JUnitConfig{File: filepath.Join(t.TempDir(), "report.xml"), SystemOut: EveryTest})
		must(t, err)
		return j
	}
	console := func(t *testing.T) event.Reporter {
		return newConsole(t, ConsoleConfig{Format: FormatTestname, Out: io.Discard, Err: io.Discard})
	}
	for what, open := range map[string]func(*testing.T) event.Reporter{
		"JUnit": junit, "gotestsum's format": console,
		"TeamCity": func(*testing.T) event.Reporter { return ci.New(ci.Config{Service: ci.TeamCity, Out: io.Discard}) },
	} {
		t.Run(what, func(t *testing.T) {
			r := open(t)
			must(t, r.Handle(testEvent("start", "", "")))
			must(t, r.Handle(testEvent("run", "TestX", "")))
			before := heap()
			bounded := func(when string) {
				t.Helper()
				if kept := heap() - before; kept > 100<<20 {
					t.Errorf("%s %d MiB are kept", when, kept>>20)
				}
			}
			for _, n := range names {
				must(t, r.Handle(testEvent("run", n, "")))
				must(t, r.Handle(testEvent("output", n, strings.Clone(text))))
			}
			bounded("while they run")
			for _, n := range append(names, "TestX", "") {
				must(t, r.Handle(testEvent("fail", n, "")))
			}
			bounded("in the end")
			must(t, r.Handle(event.RunEnded{}))
			must(t, r.Close())
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// heap is how many bytes are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

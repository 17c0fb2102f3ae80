package reporters

import (
	"io"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/reporters/ci"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/reporters/html"
	"github.com/xdist-go/xdist/reporters/outputs"
	"github.com/xdist-go/xdist/reporters/trace"
	"github.com/xdist-go/xdist/scheduler/event"
)

// reporterMakers make the reporters that a run can have beside each other, as cmd/xdist does.
var reporterMakers = []struct {
	name string
	make func(dir string, failures *failure.Watch) (event.Reporter, error)
}{
	{"console", func(_ string, failures *failure.Watch) (event.Reporter, error) {
		return NewConsole(ConsoleConfig{Out: io.Discard, Err: io.Discard, Failures: failures})
	}},
	{"events", func(dir string, _ *failure.Watch) (event.Reporter, error) {
		return OpenEvents(filepath.Join(dir, "events"), nil)
	}},
	{"json", func(dir string, _ *failure.Watch) (event.Reporter, error) {
		return NewJSON(JSONConfig{File: filepath.Join(dir, "json")})
	}},
	{"ci", func(_ string, failures *failure.Watch) (event.Reporter, error) {
		return ci.New(ci.Config{Service: ci.GitHub, Out: io.Discard, Getenv: func(string) string { return "" }, Failures: failures}), nil
	}},
	{"html", func(dir string, failures *failure.Watch) (event.Reporter, error) {
		return html.New(filepath.Join(dir, "html"), failures, nil)
	}},
	{"trace", func(dir string, _ *failure.Watch) (event.Reporter, error) {
		return trace.New(filepath.Join(dir, "trace"))
	}},
	{"junit", func(dir string, _ *failure.Watch) (event.Reporter, error) {
		return NewJUnit(JUnitConfig{File: filepath.Join(dir, "junit")})
	}},
	{"outputs", func(dir string, _ *failure.Watch) (event.Reporter, error) {
		return outputs.Store{Dir: filepath.Join(dir, "outputs")}.Keep(nil), nil
	}},
	{"history", func(string, *failure.Watch) (event.Reporter, error) {
		return NewHistory(HistoryConfig{Book: &history.Book{}})
	}},
}

// BenchmarkReporters is what a test costs in each reporter, and in all of them beside each other,
// of a run with 100,000 tests. Its live-MiB are what the reporters hold when the run has ended, and
// top-MiB the most that the heap had while they wrote their files, garbage included. The making of
// the events is not in the figures.
func BenchmarkReporters(b *testing.B) {
	const n = 100_000
	for i := range len(reporterMakers) + 1 {
		makers, name := reporterMakers, "all"
		if i < len(reporterMakers) {
			makers, name = reporterMakers[i:i+1], reporterMakers[i].name
		}
		b.Run(name, func(b *testing.B) {
			for range b.N {
				failures := failure.NewWatch()
				all := []event.Reporter{failures}
				for _, m := range makers {
					r, err := m.make(b.TempDir(), failures)
					if err != nil {
						b.Fatal(err)
					}
					all = append(all, r)
				}
				measureReporters(b, n, Multi(all...))
			}
		})
	}
}

func measureReporters(b *testing.B, n int, r event.Reporter) {
	begin := cpuTime(b)
	var end event.Event
	tellMany(n, func(e event.Event) { end = e })
	made := cpuTime(b) - begin
	before := liveHeap()
	begin = cpuTime(b)
	tellMany(n, func(e event.Event) {
		end = e
		if err := r.Handle(e); err != nil {
			b.Fatal(err)
		}
	})
	handled := cpuTime(b) - begin - made
	live := liveHeap() - before
	top := watchHeap()
	begin = cpuTime(b)
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	closed := cpuTime(b) - begin
	most := top()
	runtime.KeepAlive(end)
	b.ReportMetric(float64((handled+closed).Nanoseconds())/float64(n), "cpu-ns/test")
	b.ReportMetric(float64(closed.Nanoseconds())/float64(n), "close-ns/test")
	b.ReportMetric(max(0, live)/(1<<20), "live-MiB")
	b.ReportMetric(max(0, most-before)/(1<<20), "top-MiB")
}

// liveHeap is how many bytes are in use, garbage excluded.
func liveHeap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// watchHeap looks at the heap every few milliseconds until the function that it returns is called,
// which returns the most that was seen.
func watchHeap() (most func() float64) {
	stopc, mostc := make(chan struct{}), make(chan float64)
	go func() {
		var m runtime.MemStats
		top := uint64(0)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			runtime.ReadMemStats(&m)
			top = max(top, m.HeapAlloc)
			select {
			case <-tick.C:
			case <-stopc:
				mostc <- float64(top)
				return
			}
		}
	}()
	return func() float64 { close(stopc); return <-mostc }
}

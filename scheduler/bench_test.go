package scheduler

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// instantLink is a worker whose tests pass at once. Each unit is answered by one report with all
// events and one with the result.
type instantLink struct {
	host   string // with a store of its own, or ""
	orders chan wire.Assignment
	next   []wire.Report
	done   *doneOrders
}

// doneOrders are what the nodes of a run were given.
type doneOrders struct {
	tests []string   // of each package
	mu    sync.Mutex // guards all
	all   []*wire.Order
}

func (d *doneOrders) add(o *wire.Order) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, o)
}

// again makes all answers once more, as the nodes have done in the run.
func (d *doneOrders) again() {
	for _, o := range d.all {
		runtime.KeepAlive(d.answers(o))
	}
}

func (l *instantLink) send(_ context.Context, a wire.Assignment) error { l.orders <- a; return nil }
func (l *instantLink) store() string                                   { return l.host }
func (l *instantLink) closeSend() error                                { close(l.orders); return nil }
func (l *instantLink) exit()                                           {}

func (l *instantLink) receive(ctx context.Context) (wire.Report, error) {
	if len(l.next) == 0 {
		var a wire.Assignment
		var ok bool
		select {
		case a, ok = <-l.orders:
		case <-ctx.Done():
			return wire.Report{}, ctx.Err()
		}
		if !ok {
			return wire.Report{}, io.EOF
		}
		if a.Run == nil {
			return wire.Report{}, nil
		}
		l.done.add(a.Run)
		l.next = l.done.answers(a.Run)
	}
	r := l.next[0]
	l.next = l.next[1:]
	return r, nil
}

// answers are what a process says that is asked for tests by name, or without names for all of its
// package.
func (d *doneOrders) answers(o *wire.Order) []wire.Report {
	names := o.Names
	if names == nil {
		names = d.tests
	}
	events := make([]test2json.Event, 0, 4*len(names))
	now, elapsed := time.Now(), 0.0
	for _, name := range names {
		events = append(events,
			test2json.Event{Time: now, Action: "run", Package: o.Package, Test: name},
			test2json.Event{Time: now, Action: "output", Package: o.Package, Test: name, Output: "=== RUN   " + name + "\n"},
			test2json.Event{Time: now, Action: "output", Package: o.Package, Test: name, Output: "--- PASS: " + name + " (0.00s)\n"},
			test2json.Event{Time: now, Action: "pass", Package: o.Package, Test: name, Elapsed: &elapsed})
	}
	result := unit.Result{Started: true, Verdict: "PASS", Wall: time.Millisecond}
	return []wire.Report{{Events: events}, {Result: &result}}
}

// discard is a reporter that keeps nothing.
type discard struct{}

func (discard) Handle(event.Event) error { return nil }
func (discard) Close() error             { return nil }

// BenchmarkController runs suites on nodes in memory, of packages with 100 tests each, whose tests
// take no time. Its cpu-ns/test are of the controller and of the nodes' side together. What the
// nodes' making of the events is of that, nodes-ns/test, is found by making them once more;
// controller-ns/test is the rest.
func BenchmarkController(b *testing.B) {
	for _, size := range []struct {
		nodes, tests int
		far          bool
	}{{16, 20_000, false}, {1000, 20_000, false}, {1000, 200_000, false}, {1000, 200_000, true}} {
		name := fmt.Sprintf("nodes=%d/tests=%d", size.nodes, size.tests)
		if size.far {
			name = "far-" + name
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				begin := cpuTime(b)
				done := runInstantly(b, size.nodes, size.tests, size.far)
				ran := cpuTime(b)
				done.again()
				perTest := func(d time.Duration) float64 { return float64(d) / float64(size.tests) }
				all, nodes := perTest(ran-begin), perTest(cpuTime(b)-ran)
				b.ReportMetric(all, "cpu-ns/test")
				b.ReportMetric(nodes, "nodes-ns/test")
				b.ReportMetric(all-nodes, "controller-ns/test")
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys)/(1<<20), "MiB-from-system")
		})
	}
}

// runInstantly runs tests on nodes. Far ones are on hosts of ten, to which binaries of 20 MB come
// in two seconds.
func runInstantly(b *testing.B, nodes, tests int, far bool) *doneOrders {
	const perPackage = 100
	cmd, err := gotest.ParseCommand([]string{"./..."}, "")
	if err != nil {
		b.Fatal(err)
	}
	specs, err := xspec.Expand([]string{fmt.Sprintf("%d*popen", nodes)}, nil)
	if err != nil {
		b.Fatal(err)
	}
	items := make([]gotest.Item, perPackage)
	for i := range items {
		items[i].Name = fmt.Sprintf("TestNumber%d", i)
	}
	source := func(_ context.Context, _ gotest.Platform, emit func(gotest.BuildEvent)) error {
		var listed gotest.Listed
		for i := range tests / perPackage {
			listed.Packages = append(listed.Packages, gotest.Package{ImportPath: fmt.Sprintf("example.com/m/p%d", i), Items: items})
		}
		emit(listed)
		for _, p := range listed.Packages {
			emit(gotest.Ready{Package: p.ImportPath, Binary: "/b", Dir: "/", Digest: sha256.Sum256([]byte(p.ImportPath))})
		}
		return nil
	}
	c := newController(Config{Group: gateway.NewGroup(gateway.Config{}), Specs: specs, Command: cmd, Source: source, RunID: "run",
		Platform: gotest.Platform{GOOS: "linux", GOARCH: "amd64"}, Reporter: discard{}})
	done := &doneOrders{tests: make([]string, perPackage)}
	for i, it := range items {
		done.tests[i] = it.Name
	}
	host := func(n *node) string { return "here" }
	if far {
		links := history.Run{ID: "before", Time: time.Now()}
		host = func(n *node) string { return "host of " + n.id[:max(3, len(n.id)-1)] } // and of nine others
		for i := range nodes {
			links.Hosts = append(links.Hosts, history.HostRun{Name: host(&node{id: fmt.Sprintf("gw%d", i)}), Link: 10e6})
		}
		c.cfg.History = new(history.Book)
		c.cfg.History.Learn(links)
		c.sizeOf = func(gotest.Ready) int64 { return 20e6 }
	}
	c.connect = func(_ context.Context, n *node) (link, gateway.Info, error) {
		l := &instantLink{orders: make(chan wire.Assignment, 2), done: done}
		if far {
			l.host = host(n)
		}
		return l, gateway.Info{Hostname: host(n), GOOS: "linux", GOARCH: "amd64"}, nil
	}
	s, err := c.run(b.Context())
	if err != nil || s.Counts[event.Pass] != tests {
		b.Fatalf("%v, counts %v", err, s.Counts)
	}
	return done
}

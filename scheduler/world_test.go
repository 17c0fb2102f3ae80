package scheduler

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a run with everything outside of the controller played: a source with packages whose
// tests behave as their names say, and workers that "run" them. Names:
//
//	TestPass… TestFail… TestSkip…   end that way
//	TestExit…                       ends its process with exit status 3
//	TestSignal…                     ends its process with a signal
//	TestKill…                       ends its agent
//	TestHang…                       runs until it is stopped, or asked for its goroutines
//	TestLate…                       runs until it is out of time; with world.quick it passes the second time
//	TestNever…                      is not run by its TestMain
//	TestLost…                       loses the connection to its agent the first time that it runs, and passes then
//	TestLoser…                      loses it each time
//	TestOnce…                       ends its agent the first time that it runs, and passes then
//	TestWreck…                      ends its agent the first time that it runs, and then each time when it has passed
//	TestShy…                        fails beside another process of its package, and TestShyExit… ends its process then
//	TestAfter…                      passes in the process in which all tests of its package run
//	TestFirst…                      passes unless all tests of its package run in its process, and TestFirstExit… ends it then
//	TestCrowded…                    fails while another process runs, of whatever package
//	TestSqueezed…                   does so where all tests of its package run in its process
//	TestSpoiled…                    fails in a process that runs a TestSpoiler…, which passes
//	TestLong…                       passes with a subtest before it ends, and TestLongFail… fails with one that passes
//	TestLittle…                     fails on s390x
//	TestWedge…                      runs until -timeout, or a limit, and TestShyWedge… beside another process of its package only
//	TestStuck…                      ends only by a limit, when it has one, and passes without
//	TestTree…                       has subtests, see tree
//	TestFlaky…                      fails the first time that it runs, TestFlakyExit… ends its process and TestFlakyKill… its agent then
//	TestRacy…                       fails the first time that it runs, and says that the race detector has seen something
//	TestRacyMap…                    ends its process then, as the runtime does that sees concurrent writes to a map
//	TestSecondExit…                 ends its process the second time that it runs, and passes else
//	TestForlorn…                    loses the connection to its agent the second time, and is a TestSpoiled… else
//	TestLoud…                       does what the rest of its name says after it has printed more than is held back
//	TestFickle…                     passes the first time that it runs, and fails then
//	TestFlood…                      reports without end what world.flood makes
//	TestTorrent…                    prints 100 MB, and fails
type world struct {
	t        *testing.T
	packages map[string][]string
	prove    bool              // packages that are quick run whole, however they were split
	partial  bool              // binaries have tests that are none of the run's
	broken   map[string]bool   // do not build
	excluded map[string]string // cannot be built, and why
	initFail map[string]bool   // exit before the first test
	port     map[string]bool   // fail before the first test while another process of the package runs
	cfg      Config

	directives map[string]*gotest.Directives // by test

	// meet, unless nil, has the first process wait until another of its package has run what this
	// is about: one that starts, or with shy a TestShy….
	meet *meeting

	mu       sync.Mutex
	timeouts map[string]time.Duration // that workers were told of, by test
	running  map[string]int           // processes by package
	runs     map[string]int           // starts by test id
	ends     map[string]int           // processes that had begun a test and have ended, by test id
	shared   int                      // processes that found another of their package
	shied    int                      // tests that did
	agents   int
	nodes    []*node                  // that were connected
	limit    time.Duration            // of a run; 0 is runLimit
	greedy   map[string]bool          // run all of their tests whatever they are asked for
	banner   map[string]bool          // print a line before their tests
	holds    map[string]chan struct{} // a test of that name waits for it to be closed
	pauses   map[string]time.Duration // that an order to run the test had, the longest

	info    func(xspec.Spec) gateway.Info // what agents tell of themselves; nil is linux/amd64
	reach   func(xspec.Spec)              // is called before an agent answers
	refuse  func(xspec.Spec) error        // why an agent does not answer; nil is for all that do
	sources []gotest.Platform             // that were asked for
	profile func([]string) string         // of a process that ran these tests; nil is none
	idle    func(*fakeProcess) after      // plays a process that was asked for no test; nil is one that ends in order
	unfit   func(*wire.Order) error       // why a host cannot be given what an order needs; nil is for all that can
	stores  func(xspec.Spec) string       // of gateways; nil is for all that share the controller's files
	quick   bool                          // a TestLate… passes the second time
	size    int64                         // of binaries
	damaged func(*wire.Order) bool        // the binary of an order is; nil is for none
	adjust  func(*controller)             // before the run, or nil
	flood   func(o *wire.Order, i int) wire.Report
	liar    func(*node) *liar // plays the worker of a node; nil, and a nil one, is an honest one
}

func newWorld(t *testing.T, gateways int, packages map[string][]string) *world {
	w := &world{t: t, packages: packages, running: map[string]int{}, runs: map[string]int{}, ends: map[string]int{}, holds: map[string]chan struct{}{}, pauses: map[string]time.Duration{}}
	cmd, err := gotest.ParseCommand([]string{"./..."}, "")
	if err != nil {
		t.Fatal(err)
	}
	specs, err := xspec.Expand([]string{fmt.Sprintf("%d*popen", gateways)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.cfg = Config{Group: gateway.NewGroup(gateway.Config{}), Specs: specs, Command: cmd, Source: w.source, RunID: "run", Platform: gotest.Platform{GOOS: "linux", GOARCH: "amd64"}}
	return w
}

// record is a reporter that keeps everything but long output.
type record struct{ events []event.Event }

func (r *record) Handle(e event.Event) error {
	if t, ok := e.(event.Test); ok && len(t.Output) > 1<<10 {
		return nil
	}
	r.events = append(r.events, e)
	return nil
}
func (r *record) Close() error { return nil }

func (w *world) run(ctx context.Context) (event.Summary, *record, error) {
	return w.runWith(ctx, func(event.Event) {})
}

// runWith is run with a look at each event, from the controller's loop.
func (w *world) runWith(ctx context.Context, look func(event.Event)) (event.Summary, *record, error) {
	r := new(record)
	var c *controller
	w.cfg.Reporter = watcher{r, func(e event.Event) {
		w.checkAside(c, e)
		look(e)
	}}
	c = newController(w.cfg)
	c.connect = w.connect
	c.sizeOf = func(gotest.Ready) int64 { return w.size }
	c.backOff = time.Millisecond
	if !w.prove {
		c.proof = 0
	}
	if w.adjust != nil {
		w.adjust(c)
	}
	// A run that waits for what never comes is to be a failure, and no end of the whole test.
	limit := runLimit
	if w.limit > 0 {
		limit = w.limit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errRunLimit)
	defer cancel()
	s, err := c.run(ctx)
	if context.Cause(ctx) == errRunLimit {
		w.t.Fatalf("the run has not ended within %v", runLimit)
	}
	if c.aside != 0 || c.apart != 0 || c.table.Size() != 0 {
		w.t.Errorf("%d bytes of tests on trial, %d of tests in parts and %d of profiles are kept to the end", c.aside, c.apart, c.table.Size())
	}
	for _, n := range w.nodes {
		if n.profiled != 0 {
			w.t.Errorf("%d bytes of %s's profiles are in its account to the end", n.profiled, n.id)
		}
	}
	return s, r, err
}

// runLimit is for a run with play workers, most of which take milliseconds.
const runLimit = 2 * time.Minute

var errRunLimit = errors.New("the limit of a test's run")

// checkAside sees, at the end of a package, that nothing is kept of what attempts at its tests have
// said: it has been shown, or does not count.
func (w *world) checkAside(c *controller, e event.Event) {
	end, ok := e.(event.Test)
	if !ok || end.Test != "" || end.Action != test2json.ActionPass && end.Action != test2json.ActionFail {
		return
	}
	for _, p := range c.pkgs {
		for i, t := range p.trials {
			if p.shown == end.Package && t.said.weight > 0 {
				w.t.Errorf("%s::%s: %d bytes are kept of what an attempt has said", p.shown, p.names[i], t.said.weight)
			}
		}
	}
}

type watcher struct {
	*record
	look func(event.Event)
}

func (w watcher) Handle(e event.Event) error { w.look(e); return w.record.Handle(e) }

func (w *world) source(ctx context.Context, p gotest.Platform, emit func(gotest.BuildEvent)) error {
	w.mu.Lock()
	w.sources = append(w.sources, p)
	w.mu.Unlock()
	var listed gotest.Listed
	for path, names := range w.packages {
		p := gotest.Package{ImportPath: path, Dir: "/" + path, Partial: w.partial}
		for _, n := range names {
			p.Items = append(p.Items, gotest.Item{Name: n, Directives: w.directives[n]})
		}
		listed.Packages = append(listed.Packages, p)
	}
	slices.SortFunc(listed.Packages, func(a, b gotest.Package) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	emit(listed)
	for _, p := range listed.Packages {
		if w.broken[p.ImportPath] {
			zero := 0.0
			emit(gotest.BuildOutput{Event: test2json.Event{Action: "build-output", ImportPath: p.ImportPath, Output: "syntax error\n"}})
			emit(gotest.Reported{Package: p.ImportPath, Events: []test2json.Event{
				{Action: "start", Package: p.ImportPath},
				{Action: "output", Package: p.ImportPath, Output: "FAIL\t" + p.ImportPath + " [build failed]\n"},
				{Action: "fail", Package: p.ImportPath, Elapsed: &zero, FailedBuild: p.ImportPath},
			}})
			continue
		}
		if why := w.excluded[p.ImportPath]; why != "" {
			emit(gotest.Reported{Package: p.ImportPath, Excluded: why})
			continue
		}
		ready := gotest.Ready{Package: p.ImportPath, Binary: p.ImportPath, Dir: p.Dir}
		if w.size > 0 {
			ready.Digest = sha256.Sum256([]byte(p.ImportPath))
		}
		emit(ready)
	}
	return ctx.Err()
}

// fakeLink plays one worker.
type fakeLink struct {
	w       *world
	orders  chan wire.Assignment
	reports chan wire.Report
	ended   chan struct{} // closed by play
	quit    chan struct{} // closed by exit
	once    sync.Once
	err     error // after ended
	goarch  string
	place   string
}

func (w *world) connect(ctx context.Context, n *node) (link, gateway.Info, error) {
	w.mu.Lock()
	w.agents++
	w.nodes = append(w.nodes, n)
	w.mu.Unlock()
	l := &fakeLink{w: w, orders: make(chan wire.Assignment, 2), reports: make(chan wire.Report), ended: make(chan struct{}), quit: make(chan struct{})}
	info := gateway.Info{Hostname: "here", GOOS: "linux", GOARCH: "amd64"}
	if w.info != nil {
		info = w.info(n.spec)
	}
	l.goarch = info.GOARCH
	if w.stores != nil {
		l.place = w.stores(n.spec)
	}
	if w.reach != nil {
		w.reach(n.spec)
	}
	if w.refuse != nil {
		if err := w.refuse(n.spec); err != nil {
			return nil, info, err
		}
	}
	if w.liar != nil {
		if liar := w.liar(n); liar != nil {
			return liar.begin(), info, nil
		}
	}
	go l.play()
	return l, info, nil
}

func (l *fakeLink) send(_ context.Context, a wire.Assignment) error {
	if l.w.unfit != nil && a.Run != nil {
		if err := l.w.unfit(a.Run); err != nil {
			return err
		}
	}
	l.orders <- a
	return nil
}
func (l *fakeLink) store() string    { return l.place }
func (l *fakeLink) closeSend() error { close(l.orders); return nil }
func (l *fakeLink) exit()            { l.once.Do(func() { close(l.quit) }); <-l.ended }

func (l *fakeLink) receive(ctx context.Context) (wire.Report, error) {
	select {
	case r := <-l.reports:
		return r, nil
	case <-l.ended:
		return wire.Report{}, l.err
	case <-ctx.Done():
		return wire.Report{}, ctx.Err()
	}
}

var (
	errAgentKilled = errors.New("agent ended: signal: killed")
	errSilent      = &gateway.LostError{Gateway: "gw", Cause: gateway.ErrLease}
)

func (l *fakeLink) play() {
	defer close(l.ended)
	for {
		select {
		case a, ok := <-l.orders:
			if !ok {
				l.err = io.EOF
				return
			}
			if a.Run != nil && !l.process(a.Run) {
				if l.err == nil {
					l.err = errAgentKilled
				}
				return
			}
		case <-l.quit:
			return
		}
	}
}

// post reports something; false is the end of the worker.
func (l *fakeLink) post(r wire.Report) bool {
	select {
	case l.reports <- r:
		return true
	case <-l.quit:
		return false
	}
}

// check asserts what holds for every run: one verdict per item, one start and one terminal event
// per package, one terminal event per test that began, none for those that did not.
func (w *world) check(s event.Summary, r *record) {
	w.t.Helper()
	if s.Unbalanced != "" {
		w.t.Errorf("the account does not add up: %s", s.Unbalanced)
	}
	notRun := map[string]bool{}
	for _, it := range s.NotRun {
		notRun[it.ID] = true
	}
	begun := map[string]int{}
	starts, ends, verdicts := map[string]int{}, map[string]int{}, map[string]int{}
	for _, e := range r.events {
		t, ok := e.(event.Test)
		switch {
		case !ok:
		case t.Test == "" && t.Action == "start":
			starts[t.Package]++
		case t.Test == "" && t.Terminal():
			ends[t.Package]++
		case t.Test != "" && t.Action == "run":
			begun[t.Package+"::"+t.Test] = 1
		case t.Test != "" && t.Terminal():
			verdicts[t.Package+"::"+t.Test] = 1
			if ends[fmt.Sprint(t.Package, "::", t.Test, t.Attempt)]++; ends[fmt.Sprint(t.Package, "::", t.Test, t.Attempt)] > 1 {
				w.t.Errorf("attempt %d at %s has more than one terminal event", t.Attempt, t.Test)
			}
		}
	}
	for path, names := range w.packages {
		cut := s.Stopped != "" && starts[path] == 0 // go test says nothing either of what it did not come to
		if !cut && starts[path] != 1 || ends[path] != starts[path] {
			w.t.Errorf("%s has %d start and %d terminal events", path, starts[path], ends[path])
		}
		for _, n := range names {
			id := path + "::" + n
			want := 1
			if notRun[id] {
				want = begun[id]
			}
			if verdicts[id] != want {
				w.t.Errorf("%s has %d terminal events, want %d", id, verdicts[id], want)
			}
		}
	}
	if _, ok := r.events[0].(event.RunStarted); !ok {
		w.t.Errorf("the first event is %T", r.events[0])
	}
	if _, ok := r.events[len(r.events)-1].(event.RunEnded); !ok {
		w.t.Errorf("the last event is %T", r.events[len(r.events)-1])
	}
}

// starts is how often a test has begun so far.
func (w *world) starts(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs[id]
}

// ended is how many processes that had begun a test have ended so far. An event of the end of a
// unit may be another unit's, so that a test which waits for the end of an attempt asks this.
func (w *world) ended(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends[id]
}

func (w *world) wantCounts(s event.Summary, want map[event.Verdict]int) {
	w.t.Helper()
	if diff := cmp.Diff(want, s.Counts); diff != "" {
		w.t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func names(kinds ...string) []string {
	var out []string
	for i, k := range kinds {
		out = append(out, fmt.Sprintf("Test%s_%d", k, i))
	}
	return out
}

func many(kind string, n int) []string {
	kinds := make([]string, n)
	for i := range kinds {
		kinds[i] = kind
	}
	return names(kinds...)
}

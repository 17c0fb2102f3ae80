package scheduler

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// liar is a worker that reports what it likes.
type liar struct {
	play func(*liar) // reports, and returns when it has nothing more to say

	orders  chan wire.Assignment // what it was sent, as far as it has asked; never closed
	reports chan wire.Report
	err     error         // after play
	ended   chan struct{} // closed when play has returned
	quit    chan struct{} // closed by exit
	over    chan struct{} // closed by closeSend
	once    sync.Once
}

func newLiar(play func(*liar)) *liar {
	return &liar{play: play, orders: make(chan wire.Assignment), reports: make(chan wire.Report), err: io.EOF,
		ended: make(chan struct{}), quit: make(chan struct{}), over: make(chan struct{})}
}

func (l *liar) begin() *liar {
	go func() {
		defer close(l.ended)
		l.play(l)
	}()
	return l
}

func (l *liar) send(ctx context.Context, a wire.Assignment) error {
	select {
	case l.orders <- a:
		return nil
	case <-l.ended: // and says no more
	case <-l.quit:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-ctx.Done()
	return ctx.Err()
}

func (l *liar) receive(ctx context.Context) (wire.Report, error) {
	select {
	case r := <-l.reports:
		return r, nil
	case <-l.ended:
		return wire.Report{}, l.err
	case <-ctx.Done():
		return wire.Report{}, ctx.Err()
	}
}

func (l *liar) closeSend() error { close(l.over); return nil }

func (l *liar) exit() { l.once.Do(func() { close(l.quit) }); <-l.ended }

// report says something; false is the end of the worker.
func (l *liar) report(r wire.Report) bool {
	select {
	case l.reports <- r:
		return true
	case <-l.quit:
		return false
	}
}

// order waits for an order; nil is the end of the worker.
func (l *liar) order() *wire.Order {
	for {
		select {
		case a := <-l.orders:
			if a.Run != nil {
				return a.Run
			}
		case <-l.over:
			return nil
		case <-l.quit:
			return nil
		}
	}
}

// rest waits for the end.
func (l *liar) rest() {
	for l.order() != nil {
	}
}

// passed is the result of a process in which nothing has failed.
func passed() *unit.Result {
	return &unit.Result{Started: true, Verdict: "PASS", Wall: time.Second}
}

func told(o *wire.Order, action, test string) test2json.Event {
	return test2json.Event{Action: action, Package: o.Package, Test: test}
}

// A worker that says what no worker says is ended, with the reason, and its tests run elsewhere.
func TestLies(t *testing.T) {
	elapsed := func(seconds float64) *float64 { return &seconds }
	ended := func(change func(*unit.Result)) wire.Report {
		r := passed()
		change(r)
		return wire.Report{Result: r}
	}
	saying := func(change func(*test2json.Event)) func(o *wire.Order) []wire.Report {
		return func(o *wire.Order) []wire.Report {
			e := told(o, "output", o.Names[0])
			change(&e)
			return []wire.Report{{Events: []test2json.Event{e}}}
		}
	}
	result := func(change func(*unit.Result)) func(o *wire.Order) []wire.Report {
		return func(*wire.Order) []wire.Report { return []wire.Report{ended(change)} }
	}
	for _, tt := range []struct {
		name string
		lie  func(o *wire.Order) []wire.Report
		want string
	}{
		{"an empty report", func(*wire.Order) []wire.Report { return []wire.Report{{}} }, "nothing that is known"},
		{"two ends", func(o *wire.Order) []wire.Report {
			return []wire.Report{{Result: &unit.Result{Started: true, Failed: true, Signal: "killed", ExitCode: -1}}, {Result: passed()}}
		}, "after the result"},
		{"another package", saying(func(e *test2json.Event) { e.Package = "other" }), `package "other"`},
		{"an action that nothing has", saying(func(e *test2json.Event) { e.Action = "start" }), `"start"`},
		{"a test without a name", saying(func(e *test2json.Event) { e.Test = "/sub" }), `no test "/sub"`},
		{"a huge name", saying(func(e *test2json.Event) { e.Test += "/" + strings.Repeat("x", maxName) }), "a name has"},
		{"text that is not UTF-8", saying(func(e *test2json.Event) { e.Output = "\xff" }), "not UTF-8"},
		{"a clock a day off", saying(func(e *test2json.Event) { e.Time = e.Time.In(time.FixedZone("", dayOf)) }), "a day or more off"},
		{"the end of a package", saying(func(e *test2json.Event) { e.Test, e.Action = "", "pass" }), "ends its package"},
		{"an end without a beginning", saying(func(e *test2json.Event) { e.Action = "pass" }), "never began"},
		{"a negative time", saying(func(e *test2json.Event) { e.Elapsed = elapsed(-1) }), "-1 seconds"},
		{"a time that is none", saying(func(e *test2json.Event) { e.Elapsed = elapsed(math.NaN()) }), "NaN seconds"},
		{"a time without end", saying(func(e *test2json.Event) { e.Elapsed = elapsed(math.Inf(1)) }), "+Inf seconds"},
		{"a year that JSON does not have", saying(func(e *test2json.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }), "year 10000"},
		{"a culprit that never began", result(func(r *unit.Result) { r.Failed, r.ExitCode, r.Culprit = true, 2, "TestPass_0" }), "never began"},
		{"a test that does not exist was cut off", result(func(r *unit.Result) { r.Unfinished = "TestNobody" }), `"TestNobody", which never began`},
		{"a wall time below zero", result(func(r *unit.Result) { r.Wall = -1 }), "a time of its process"},
		{"a test timeout below zero", result(func(r *unit.Result) { r.TestTimeout = math.MinInt64 }), "a time of its process"},
		{"an exit status that nobody has", result(func(r *unit.Result) { r.Failed, r.ExitCode = true, math.MinInt }), "exit status"},
		{"a verdict of its own", result(func(r *unit.Result) { r.Verdict = "GREAT" }), "GREAT"},
		{"a failure that is none", result(func(r *unit.Result) { r.ExitCode = 1 }), "has not failed"},
		{"a long text", result(func(r *unit.Result) { r.Suffix = strings.Repeat("x", maxText+1) }), "a text of its result"},
		{"a profile that nobody asked for", func(*wire.Order) []wire.Report { return []wire.Report{{Profile: []byte("mode: set\n")}} }, "nobody asked for"},
		{"warnings without end", func(*wire.Order) []wire.Report {
			var all []wire.Report
			for i := range mostWarnings + 1 {
				all = append(all, wire.Report{Warning: fmt.Sprint(i)})
			}
			return all
		}, "warns of its host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 2, map[string][]string{"a": names("Pass", "Fail"), "b": names("Pass", "Skip")})
			asked := make(chan struct{}) // the honest ones come when the liar has a unit
			w.reach = func(s xspec.Spec) {
				if s.ID != "gw0" {
					<-asked
				}
			}
			w.liar = func(n *node) *liar {
				if n.id != "gw0" {
					return nil
				}
				return newLiar(func(l *liar) {
					o := l.order()
					close(asked)
					if o.Names == nil {
						o.Names = w.packages[o.Package]
					}
					for _, r := range tt.lie(o) {
						if !l.report(r) {
							return
						}
					}
					l.rest()
				})
			}
			s, r, err := w.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			w.wantCounts(s, map[event.Verdict]int{event.Pass: 2, event.Fail: 1, event.Skip: 1})
			if reason := downOf(r, "gw0"); !strings.Contains(reason, "refuse what its agent reports: ") || !strings.Contains(reason, tt.want) {
				t.Errorf("the gateway ended with %q, want %q", reason, tt.want)
			}
		})
	}
}

// What a worker says of tests that it was not asked for does not count, and is no lie: a test can
// print what looks like the end of any other. A test that its package does not have is shown.
func TestVerdictsOfOtherTests(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names(slices.Repeat([]string{"Pass", "Fail"}, 10)...)})
	w.cfg.MinNodes = 2 // or the liar has all
	others := 0
	w.liar = func(n *node) *liar {
		if n.id != "gw0" {
			return nil
		}
		return newLiar(func(l *liar) {
			for o, first := l.order(), true; o != nil; o, first = l.order(), false {
				var events []test2json.Event
				say := func(name, action string) {
					events = append(events, told(o, "run", name), told(o, action, name))
				}
				for _, name := range w.packages["a"] {
					passes := strings.HasPrefix(name, "TestPass")
					if asked := o.Names == nil || slices.Contains(o.Names, name); !asked {
						passes = !passes
						others++
					}
					say(name, map[bool]string{true: "pass", false: "fail"}[passes])
				}
				if first {
					say("TestNobody", "fail")
				}
				if !l.report(wire.Report{Events: events, Result: passed()}) {
					return
				}
			}
		})
	}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 10, event.Fail: 10})
	if others == 0 {
		t.Error("the worker was asked for all tests")
	}
	if reason := downOf(r, "gw0"); reason != "" {
		t.Errorf("the gateway ended with %q", reason)
	}
	shown := slices.ContainsFunc(r.events, func(e event.Event) bool {
		t, ok := e.(event.Test)
		return ok && t.Test == "TestNobody" && t.Action == "fail"
	})
	if !shown {
		t.Error("nothing is shown of a test that its package does not have")
	}
}

// downOf is why a gateway ended.
func downOf(r *record, id string) string {
	for _, e := range r.events {
		if down, ok := e.(event.GatewayDown); ok && down.Gateway == id {
			return down.Reason
		}
	}
	return ""
}

// A worker that answers orders which it has not taken does not keep the loop, and a run that only
// it is left for ends.
func TestReportsBeforeAnOrder(t *testing.T) {
	packages := map[string][]string{}
	for i := range 10 {
		packages[fmt.Sprint("p", i)] = names("Pass")
	}
	w := newWorld(t, 1, packages)
	w.cfg.MaxWorkerRestart = -1
	assigned := make(chan struct{}, 2*len(packages))
	w.liar = func(*node) *liar {
		return newLiar(func(l *liar) {
			for {
				select {
				case <-assigned:
				case <-l.quit:
					return
				}
				if !l.report(wire.Report{Result: passed()}) {
					return
				}
			}
		})
	}
	s, r, err := w.runWith(t.Context(), func(e event.Event) {
		if _, ok := e.(event.UnitStarted); ok {
			assigned <- struct{}{}
		}
	})
	if err == nil {
		t.Error("the run ended without an error")
	}
	w.check(s, r)
	if reason := downOf(r, "gw0"); !strings.Contains(reason, "refuse what its agent reports: ") {
		t.Errorf("the gateway ended with %q", reason)
	}
}

// An interrupt is the next thing that the loop hears, however much is reported, and whatever the
// worker takes of what it is sent.
func TestInterruptInAFlood(t *testing.T) {
	for range 10 { // a loop that chooses by chance may be lucky
		w := newWorld(t, 1, map[string][]string{"a": names("Pass")})
		w.cfg.TerminateTimeout = time.Millisecond
		var c *controller
		w.adjust = func(made *controller) { c = made }
		ctx, cancel := context.WithCancel(t.Context())
		w.liar = func(*node) *liar {
			return newLiar(func(l *liar) {
				o := l.order()
				for o != nil && l.report(wire.Report{Events: []test2json.Event{{Action: "output", Package: o.Package, Output: "x\n"}}}) {
				}
			})
		}
		late := 0
		s, r, err := w.runWith(ctx, func(e event.Event) {
			if test, ok := e.(event.Test); ok && test.Output == "x\n" {
				if ctx.Err() != nil && !c.interrupted {
					late++
				}
				cancel()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		if !s.Interrupted || s.Counts[event.NotRun]+s.Counts[event.Crash] != 1 || late > 0 {
			t.Errorf("interrupted %t, counts %v, %d reports came before the interrupt", s.Interrupted, s.Counts, late)
		}
		cancel()
	}
}

// A package without tests whose agent is lost runs once more.
func TestEmptyPackageWhoseAgentIsLost(t *testing.T) {
	w := newWorld(t, 1, map[string][]string{"a": nil})
	w.liar = func(n *node) *liar {
		if n.id != "gw0" {
			return nil
		}
		return newLiar(func(l *liar) {
			l.order()
			l.err = errAgentKilled
		})
	}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	if s.Failed != 0 {
		t.Errorf("%d packages failed", s.Failed)
	}
}

// A run in which no test ran is no pass, unless a process of a whole package passed without them.
func TestNothingRan(t *testing.T) {
	for _, tt := range []struct {
		name     string
		packages map[string][]string
		excluded bool
		want     string
	}{
		{"a TestMain will have it so", map[string][]string{"a": names("Never", "Never")}, false, ""},
		{"nothing was asked for", map[string][]string{"a": nil}, false, ""},
		{"some ran", map[string][]string{"a": names("Never", "Pass")}, false, ""},
		{"the packages do not build here", map[string][]string{"a": names("Pass", "Pass")}, true, "none of 2 tests was run; a::TestPass_0: no cgo"},
	} {
		w := newWorld(t, 2, tt.packages)
		if tt.excluded {
			w.excluded = map[string]string{"a": "no cgo"}
		}
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !tt.excluded {
			w.check(s, r)
		}
		if s.NothingRan != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, s.NothingRan, tt.want)
		}
	}
}

// What seems odd and is honest is believed.
func TestOddResults(t *testing.T) {
	j := &job{testimony: testimony{known: map[string]bool{"TestA": true}}}
	for name, r := range map[string]unit.Result{
		"a TestMain exits 0 after a failure": {Started: true, Verdict: "FAIL"},
		"a test exits 0":                     {Started: true, Unfinished: "TestA"},
		"a status of Windows":                {Started: true, Failed: true, ExitCode: -0x3ffffffb, Culprit: "TestA"},
		"it was not started":                 {Failed: true, ExitCode: -1, Err: "exec format error"},
	} {
		j.known = map[string]bool{"TestA": r.Started}
		if !r.Started {
			j.known = nil
		}
		if err := j.examineResult(&r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package scheduler

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// floodEnds is why a worker is ended that floods the controller.
var floodEnds = map[string]string{
	"subtests":          "its tests are too many, or their names too long",
	"names":             "its tests are too many, or their names too long",
	"output of no test": "MiB of output came that cannot be shown",
	"profile":           "read cover profile: it has more than 64 MiB",
}

// floods are what a worker can say without end.
var floods = map[string]func(o *wire.Order, i int) wire.Report{
	"subtests": func(o *wire.Order, i int) wire.Report {
		var events []test2json.Event
		for k := range 1000 {
			e := told(o, "run", fmt.Sprintf("%s/%d-%d-%s", o.Names[0], i, k, strings.Repeat("x", 100)))
			events = append(events, e)
			e.Action = "pass"
			events = append(events, e)
		}
		return wire.Report{Events: events}
	},
	"names": func(o *wire.Order, i int) wire.Report {
		var events []test2json.Event
		for k := range 10 {
			events = append(events, told(o, "output", fmt.Sprintf("Test%d_%d%s", i, k, strings.Repeat("x", maxName-40))))
		}
		return wire.Report{Events: events}
	},
	"output of no test": func(o *wire.Order, i int) wire.Report {
		e := told(o, "output", "")
		e.Output = strings.Repeat("x", 1<<20)
		return wire.Report{Events: []test2json.Event{e, e}}
	},
	"profile": func(o *wire.Order, i int) wire.Report {
		return wire.Report{Profile: []byte(strings.Repeat("x", wire.ProfilePart))}
	},
}

// A worker that goes on and on is ended at its budget, and its tests run elsewhere.
func TestFloodsEnd(t *testing.T) {
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			for range 100 { // until the liar gets a part of a package
				if floodsOnce(t, name, flood) {
					return
				}
			}
			t.Error("the liar had no chance")
		})
	}
}

// floodsOnce reports whether the liar had a chance.
func floodsOnce(t *testing.T, name string, flood func(*wire.Order, int) wire.Report) bool {
	w := newWorld(t, 2, map[string][]string{"a": many("Pass", 40), "b": many("Pass", 40)})
	w.cfg.Command.Cover, w.cfg.Command.CoverMode = true, "set"
	var flooded atomic.Bool
	w.liar = func(n *node) *liar {
		if n.id != "gw0" {
			return nil
		}
		return newLiar(func(l *liar) {
			if o := inundated(l, w); o != nil {
				flooded.Store(true)
				for i := 0; l.report(flood(o, i)); i++ {
				}
			}
		})
	}
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 80})
	if reason := downOf(r, "gw0"); flooded.Load() && !strings.Contains(reason, floodEnds[name]) {
		t.Errorf("the gateway ended with %q", reason)
	}
	return flooded.Load()
}

// inundated waits for a part of a package and begins the first of its tests. What the first process
// of the whole prints is shown as it comes, and not kept.
func inundated(l *liar, w *world) *wire.Order {
	o := l.order()
	for ; o != nil && o.Names == nil; o = l.order() {
		var events []test2json.Event
		for _, name := range w.packages[o.Package] {
			events = append(events, told(o, "run", name), told(o, "pass", name))
		}
		if !l.report(wire.Report{Events: events}) || !l.report(wire.Report{Result: passed()}) {
			return nil
		}
	}
	if o == nil || !l.report(wire.Report{Events: []test2json.Event{told(o, "run", o.Names[0])}}) {
		return nil
	}
	return o
}

// A test that goes beyond a budget wherever it runs has a verdict, and the others of its package
// have theirs.
func TestFloodEverywhere(t *testing.T) {
	for _, name := range []string{"subtests", "names"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2, map[string][]string{"a": names("Flood", "Fail", "Pass"), "b": names("Pass", "Skip")})
			w.flood = floods[name]
			s, r, err := w.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.check(s, r)
			w.wantCounts(s, map[event.Verdict]int{event.Pass: 2, event.Fail: 1, event.Skip: 1, event.Crash: 1})
			if s.Failed != 1 || w.starts("a::TestFlood_0") > 4 {
				t.Errorf("%d packages failed; the test ran %d times", s.Failed, w.starts("a::TestFlood_0"))
			}
		})
	}
}

// What is held of a test that prints hundreds of megabytes is its beginning and its end, and the
// test has its verdict.
func TestLongOutputOnTrial(t *testing.T) {
	w := newWorld(t, 2, map[string][]string{"a": names("Torrent", "Pass", "Fail")})
	s, r, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 1, event.Fail: 2})
	if reason := downOf(r, "gw0") + downOf(r, "gw1"); strings.Contains(reason, "refuse") {
		t.Errorf("a gateway ended: %s", reason)
	}
}

// trim keeps both ends, and all that is not output.
func TestTrim(t *testing.T) {
	var events []test2json.Event
	for i := range 1000 {
		events = append(events, test2json.Event{Action: "output", Test: "TestA", Output: fmt.Sprintln(i)})
		if i%100 == 50 {
			events = append(events, test2json.Event{Action: "run", Test: fmt.Sprint("TestA/", i)})
		}
	}
	once := trim(events, 10*eventWeight)
	for _, got := range [][]test2json.Event{once, trim(once, 10*eventWeight)} {
		runs, gaps := 0, 0
		for _, e := range got {
			if e.Action == "run" {
				runs++
			}
			if e.Output == leftOut {
				gaps++
			}
		}
		if first, last := got[0].Output, got[len(got)-1].Output; first != "0\n" || last != "999\n" || runs != 10 || gaps != 1 || len(got) > 40 {
			t.Errorf("%d events from %q to %q, %d of subtests and %d gaps", len(got), first, last, runs, gaps)
		}
	}
	if got := trim(events[:5], 10*eventWeight); len(got) != 5 {
		t.Errorf("%d of 5 events are left", len(got))
	}
}

// A panic that was found in what is held is still where it was after the middle was left out.
func TestTrimKeepsThePanic(t *testing.T) {
	var it itemRun
	j := new(job)
	for i := range 1000 {
		text := "x\n"
		if i == 995 {
			text = "panic: oh\n"
		}
		j.take(&it, test2json.Event{Action: "output", Test: "TestA", Output: text})
	}
	it.cut(trim, 10*eventWeight)
	if it.weight != weighAll(it.events) {
		t.Errorf("%d bytes are counted, %d are held", it.weight, weighAll(it.events))
	}
	held := len(it.events)
	if it.dropPanic("TestA", "panic: oh"); held-len(it.events) != 5 {
		t.Errorf("%d of %d events are left", len(it.events), held)
	}
}

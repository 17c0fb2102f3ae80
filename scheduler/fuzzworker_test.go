package scheduler

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// dice say what a lying worker does next. They are a fuzzer's bytes, or come of a seed.
type dice interface {
	roll(n int) int // below n
	empty() bool    // nothing is left
}

type byteDice struct{ rest []byte }

func (d *byteDice) empty() bool { return len(d.rest) == 0 }
func (d *byteDice) roll(n int) int {
	if len(d.rest) == 0 {
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return int(b) % n
}

type seedDice struct {
	*rand.Rand
	left int
}

func (d *seedDice) empty() bool    { d.left--; return d.left < 0 }
func (d *seedDice) roll(n int) int { return d.IntN(n) }

// imposter is a lying worker on its way through all that it can say.
type imposter struct {
	*liar
	dice
	w     *world
	steps *atomic.Int64 // events and other things said
	o     *wire.Order   // the last one
	begun []string
}

func pick[T any](d dice, of ...T) T { return of[d.roll(len(of))] }

// play goes on until the dice are gone.
func (m *imposter) play(*liar) {
	for !m.empty() {
		if m.o == nil && m.roll(20) > 0 {
			if m.o, m.begun = m.order(), nil; m.o == nil {
				return
			}
		}
		if !m.step() {
			return
		}
	}
}

var torrent = strings.Repeat("y", heldBytes+1)

// step says one thing; false is the end.
func (m *imposter) step() bool {
	m.steps.Add(1)
	switch kind := m.roll(32); {
	case kind == 0:
		m.err = pick[error](m, io.EOF, errAgentKilled, errSilent, &hosts.Error{Err: errors.New("no room")}, errors.New("odd"))
		return false
	case kind == 1:
		return m.report(wire.Report{})
	case kind == 2:
		return m.report(wire.Report{Warning: pick(m, "no room", "no exec", strings.Repeat("x", maxName+1))})
	case kind < 6:
		return m.report(wire.Report{Profile: []byte(pick(m, "mode: set\na/b.go:1.1,2.2 1 1\n", "mode: count\na/b.go:1.1,2.2 1 1\n", "mode", "\n", "a/c.go:3.1,4.2 1 7\n"))})
	case kind < 10:
		result := m.result()
		m.o = nil
		return m.report(wire.Report{Result: result})
	case kind < 12:
		return m.honest()
	default:
		var events []test2json.Event
		for range 1 + m.roll(16) {
			events = append(events, m.event())
		}
		m.steps.Add(int64(len(events)))
		return m.report(wire.Report{Events: events})
	}
}

// asked are the tests of the last order.
func (m *imposter) asked() []string {
	switch {
	case m.o == nil:
		return []string{"TestPass_0"}
	case len(m.o.Names) > 0:
		return m.o.Names
	}
	return append([]string{"TestPass_0"}, m.w.packages[m.o.Package]...)
}

func (m *imposter) event() test2json.Event {
	pkg := "a"
	if m.o != nil {
		pkg = m.o.Package
	}
	e := test2json.Event{Package: pkg, Action: pick(m, "run", "output", "pass", "fail", "skip", "pause", "cont")}
	name := m.asked()[m.roll(len(m.asked()))]
	switch m.roll(16) {
	case 0:
		name += "/sub"
	case 1:
		name = pick(m, "", "TestPass_1", "TestNobody", "TestFail_2/x")
	case 2:
		if m.roll(8) == 0 {
			name = pick(m, "/", strings.Repeat("n", maxName+1))
			e.Action = pick(m, "start", "bench", "attr", "build-fail", "")
			e.Package = pick(m, pkg, "b", "", "nowhere")
		}
	}
	e.Test = name
	top := topLevel(name)
	if e.Terminal() && len(m.begun) > 0 && m.roll(8) > 0 {
		e.Test = m.begun[m.roll(len(m.begun))]
	}
	if e.Action == "run" {
		m.begun = append(m.begun, top)
	}
	if e.Action == "output" {
		e.Output = pick(m, "x\n", "panic: oh\n", "PASS\n", "FAIL\n", "exit status 1\n", "WARNING: DATA RACE\n", "fatal error: concurrent map writes\n", "bind: address already in use\n", "")
		if m.roll(200) == 0 {
			e.Output = torrent
		}
	}
	if m.roll(4) == 0 {
		elapsed := pick(m, 0, 0.5, 3, 1e6, -1.0)
		e.Elapsed = &elapsed
	}
	return e
}

func (m *imposter) result() *unit.Result {
	r := passed()
	if m.roll(2) == 0 {
		r.Failed, r.ExitCode, r.Verdict = true, pick(m, 1, 2, -1), pick(m, "FAIL", "", "PASS")
		r.Signal = pick(m, "", "", "killed", "terminated", "segmentation fault")
		if len(m.begun) > 0 && m.roll(2) == 0 {
			r.Culprit = m.begun[m.roll(len(m.begun))]
			r.Panic = pick(m, "", "panic: oh\n\ngoroutine 1 [running]:\n")
		}
		switch m.roll(8) {
		case 0:
			r.TimedOut = true
		case 1:
			r.TimedOut, r.TestTimeout = true, time.Second
		case 2:
			r.Interrupted, r.Err = true, "interrupted"
		case 3:
			r.Started, r.Err = false, "exec format error"
		case 4:
			r.Changed = []string{"testdata/x"}
		case 5:
			r.Incomplete = true
		}
	} else if len(m.begun) > 0 && m.roll(4) == 0 {
		r.Unfinished, r.Verdict = m.begun[m.roll(len(m.begun))], ""
	}
	switch m.roll(40) {
	case 0:
		r.Culprit = "TestNobody"
	case 1:
		r.Wall = -1
	case 2:
		r.Verdict = "MAYBE"
	case 3:
		r.NoTests, r.Suffix, r.Coverage = true, " [no tests to run]", "coverage: 1% of statements"
	}
	return r
}

// honest runs all that was asked for.
func (m *imposter) honest() bool {
	if m.o == nil {
		return true
	}
	var events []test2json.Event
	for _, name := range m.asked() {
		events = append(events, told(m.o, "run", name), told(m.o, pick(m, "pass", "pass", "fail", "skip"), name))
	}
	m.o = nil
	return m.report(wire.Report{Events: events}) && m.report(wire.Report{Result: passed()})
}

// lieThrough is a run with an honest worker and others that lie.
func lieThrough(t *testing.T, setting dice, lies func(id string) dice, steps *atomic.Int64) {
	w := newWorld(t, 3, map[string][]string{"a": names("Pass", "Pass", "Fail", "Pass", "Skip"), "b": names("Pass", "Exit", "Pass"), "c": many("Pass", 8), "d": nil})
	w.prove = setting.roll(2) == 0
	w.cfg.Dist = pick(setting, DistLoad, DistLoad, DistLoad, DistLoadScope, DistWorkSteal)
	if setting.roll(3) == 0 {
		w.cfg.Command.Cover, w.cfg.Command.CoverMode, w.cfg.Command.CoverProfile = true, pick(setting, "set", "count"), "/dev/null"
	}
	if setting.roll(4) == 0 {
		w.cfg.Reruns.Max, w.cfg.Reruns.Crashes = 2, setting.roll(2) == 0
	}
	if setting.roll(8) == 0 {
		w.cfg.MaxFail = 1 + setting.roll(3)
	}
	w.liar = func(n *node) *liar {
		if n.id == "gw0" {
			return nil
		}
		m := &imposter{dice: lies(n.id), w: w, steps: steps}
		m.liar = newLiar(m.play)
		return m.liar
	}
	var c *controller
	w.adjust = func(made *controller) { c = made }
	s, r, err := w.run(t.Context())
	checkLies(t, w, c, s, r, err)
}

// checkLies asserts what holds whatever workers say.
func checkLies(t *testing.T, w *world, c *controller, s event.Summary, r *record, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("the run ended with %v, and an honest worker was there", err)
	}
	if s.Unbalanced != "" {
		t.Errorf("the account does not add up: %s", s.Unbalanced)
	}
	sum, bad := 0, s.Counts[event.Fail]+s.Counts[event.Crash]
	for _, n := range s.Counts {
		sum += n
	}
	if sum != s.Collected || s.Collected != 16 {
		t.Errorf("%d verdicts for %d tests", sum, s.Collected)
	}
	lenient := false
	for _, p := range c.pkgs {
		lenient = lenient || p.lenient
	}
	if bad > 0 && s.Failed == 0 && s.Stopped == "" && !lenient {
		t.Errorf("green, with %v", s.Counts)
	}
	if s.Stopped != "" && w.cfg.MaxFail == 0 {
		t.Errorf("the run was stopped: %s", s.Stopped)
	}
	starts, ends := map[string]int{}, map[string]int{}
	for _, e := range r.events {
		if e, ok := e.(event.Test); ok && e.Test == "" {
			if e.Action == "start" {
				starts[e.Package]++
			} else if e.Terminal() {
				ends[e.Package]++
			}
		}
	}
	for path := range w.packages {
		if starts[path] > 1 || ends[path] != starts[path] || s.Stopped == "" && starts[path] != 1 {
			t.Errorf("%s has %d start and %d terminal events", path, starts[path], ends[path])
		}
	}
}

// seededLies is lieThrough by a seed, which a failure shows in whatever way it ends the test.
func seededLies(t *testing.T, seed uint64, steps *atomic.Int64) {
	lies := func(id string) dice {
		h := fnv.New64()
		io.WriteString(h, id)
		return &seedDice{rand.New(rand.NewPCG(seed, h.Sum64())), 200}
	}
	well, told := false, false
	tell := func() {
		if !told && (!well || t.Failed()) {
			told = true
			fmt.Printf("again: make lies LIES='-lies.seed=%d -lies.steps=1'\n", seed) // a panic loses what is logged
		}
	}
	defer tell()
	synctest.Test(t, func(t *testing.T) {
		defer tell()
		lieThrough(t, &seedDice{rand.New(rand.NewPCG(seed, 0)), 0}, lies, steps)
		well = !t.Failed()
	})
}

var (
	liesSteps = flag.Int64("lies.steps", 0, "how many steps TestLyingWorkers has, however long they take; 0 is as many as 15 s allow")
	liesSeed  = flag.Uint64("lies.seed", 0, "the seed of TestLyingWorkers' first run, the next has the next; 0 is another one each time")
)

// How far TestLyingWorkers goes by itself. A run has some 240 steps. Two processors make 40,000
// steps a second, and with the race detector and other tests beside them a tenth of that.
const (
	liesLimit   = 15 * time.Second
	liesAtLeast = 20_000           // steps, or the test shows little
	liesPerRun  = 50               // steps of a run in the mean, or the workers do not come to lie
	liesSlowest = 10 * time.Minute // for liesAtLeast
)

// The account of a run adds up whatever some of its workers say. How many runs there are is a
// matter of time; `make lies` has a million steps.
func TestLyingWorkers(t *testing.T) {
	seed, runs, began := cmp.Or(*liesSeed, uint64(time.Now().UnixNano())), uint64(0), time.Now()
	// Also for a panic of another goroutine, or a run that hangs. go test shows it of a failure.
	fmt.Printf("TestLyingWorkers: seeds from %d\n", seed)
	least, limit := int64(liesAtLeast), liesLimit
	if *liesSteps > 0 {
		least, limit = *liesSteps, 0
	}
	var steps atomic.Int64
	for steps.Load() < least || time.Since(began) < limit {
		seededLies(t, seed+runs, &steps)
		runs++
		switch mean := steps.Load() / int64(runs); {
		case runs >= 100 && mean < liesPerRun:
			t.Fatalf("%d runs had %d steps each, want %d: the workers are ended before they lie", runs, mean, liesPerRun)
		case *liesSteps == 0 && time.Since(began) > liesSlowest:
			t.Fatalf("%d steps in %v, want %d", steps.Load(), time.Since(began).Round(time.Second), least)
		}
	}
	t.Logf("%d steps in %d runs, %v", steps.Load(), runs, time.Since(began).Round(time.Second))
}

// FuzzWorker is TestLyingWorkers with a fuzzer's bytes.
func FuzzWorker(f *testing.F) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, 400)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4000 {
			return
		}
		var steps atomic.Int64
		setting := b[:min(8, len(b))]
		b = b[len(setting):]
		synctest.Test(t, func(t *testing.T) {
			var mine atomic.Int64
			lies := func(string) dice {
				part := b
				if k := int(mine.Add(1)); len(b) > 0 {
					at := (k - 1) * 101 % len(b)
					part = b[at:min(len(b), at+200)]
				}
				return &byteDice{part}
			}
			lieThrough(t, &byteDice{setting}, lies, &steps)
		})
	})
}

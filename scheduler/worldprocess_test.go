package scheduler

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// fakeProcess plays one test process.
type fakeProcess struct {
	l      *fakeLink
	o      *wire.Order
	names  []string // of the tests that it runs
	begun  []string // ids of those that it has begun
	alone  bool     // no other of its package ran when it started
	result unit.Result
}

// process plays one test process; false is the end of the agent.
func (l *fakeLink) process(o *wire.Order) bool {
	p := l.begin(o)
	w := l.w
	if w.initFail[o.Package] || w.port[o.Package] && !p.alone {
		p.print("cannot start\n")
		p.die("", 1, "")
		p.finish()
		return true
	}
	if w.damaged != nil && w.damaged(o) {
		p.die("", 1, "")
		p.result.Damaged = true
		p.finish()
		return true
	}
	if w.idle != nil && idles(o) {
		if w.idle(p) == agentEnds {
			w.mu.Lock()
			w.running[o.Package]--
			w.mu.Unlock()
			return false
		}
		p.finish()
		return true
	}
	if w.banner[o.Package] {
		p.print("banner\n")
	}
	for _, name := range p.names {
		if strings.HasPrefix(name, "TestNever") {
			continue
		}
		switch p.test(name) {
		case agentEnds:
			w.mu.Lock()
			p.count()
			w.mu.Unlock()
			return false
		case processEnds:
			p.finish()
			return true
		}
	}
	p.finish()
	return true
}

// idles reports whether an order is for a process that runs no test.
func idles(o *wire.Order) bool { return o.Names != nil && len(o.Names) == 0 }

// begin starts a process, and waits for another of its package if the world wants two.
func (l *fakeLink) begin(o *wire.Order) *fakeProcess {
	w := l.w
	p := &fakeProcess{l: l, o: o, names: w.packages[o.Package], result: unit.Result{Started: true, Verdict: "PASS", Items: map[string]unit.Item{}, Wall: time.Second}}
	if o.Names != nil && !w.greedy[o.Package] { // in the order of the package, as often as each is there
		p.names = slices.DeleteFunc(slices.Clone(p.names), func(name string) bool { return !slices.Contains(o.Names, name) })
	}
	w.mu.Lock()
	if w.timeouts == nil {
		w.timeouts = make(map[string]time.Duration)
	}
	maps.Copy(w.timeouts, o.TestTimeouts)
	w.running[o.Package]++
	p.alone = w.running[o.Package] == 1
	if !p.alone {
		w.shared++
	}
	w.mu.Unlock()
	if p.alone {
		w.meet.wait(l.quit)
	} else if w.meet != nil && !w.meet.shy {
		w.meet.over()
	}
	return p
}

// finish ends the process. It is gone before its result is there.
func (p *fakeProcess) finish() {
	w := p.l.w
	w.mu.Lock()
	w.running[p.o.Package]--
	p.count()
	w.mu.Unlock()
	if p.o.Names == nil && p.result.Verdict != "" {
		p.print(p.result.Verdict + "\n")
	}
	if text := w.profileOf(p.names); text != "" {
		p.l.post(wire.Report{Profile: []byte(text)})
	}
	p.l.post(wire.Report{Result: &p.result})
}

// count counts the tests that the process had begun as ended, with the world's lock held.
func (p *fakeProcess) count() {
	for _, id := range p.begun {
		p.l.w.ends[id]++
	}
}

// print says something that belongs to no test.
func (p *fakeProcess) print(text string) {
	p.l.post(wire.Report{Events: []test2json.Event{{Action: "output", Package: p.o.Package, Output: text}}})
}

// say prints something in a test.
func (p *fakeProcess) say(test, text string) {
	p.l.post(wire.Report{Events: []test2json.Event{{Action: "output", Package: p.o.Package, Test: test, Output: text}}})
}

// fail makes the process one that ends with an exit status after all of its tests.
func (p *fakeProcess) fail(code int) {
	p.result.Failed, p.result.ExitCode, p.result.Verdict = true, code, "FAIL"
}

// die makes the process one that ended in the middle: name is the test that it died of, or "".
func (p *fakeProcess) die(name string, code int, signal string) {
	p.result.Failed, p.result.ExitCode, p.result.Signal, p.result.Verdict, p.result.Culprit = true, code, signal, "", name
}

// after is what becomes of a process when a test has run.
type after int

const (
	goesOn after = iota
	processEnds
	agentEnds
)

// test plays one test of the process.
func (p *fakeProcess) test(name string) after {
	kind, first := p.start(name)
	elapsed := 0.01
	if strings.HasPrefix(kind, "Tree") {
		elapsed = 1
		if kind = p.l.tree(p.o, name, kind, first); kind == "" {
			return agentEnds
		}
	}
	if then := p.misbehave(name, kind, first); then != goesOn {
		return then
	}
	action := p.verdict(name, kind)
	p.l.post(wire.Report{Events: []test2json.Event{
		{Action: "output", Package: p.o.Package, Test: name, Output: "--- " + action + "\n"},
		{Action: strings.ToLower(action), Package: p.o.Package, Test: name, Elapsed: &elapsed},
	}})
	if strings.HasPrefix(kind, "Wreck") {
		return agentEnds
	}
	return goesOn
}

// start begins a test and returns what it does this time, and whether it is the first.
func (p *fakeProcess) start(name string) (kind string, first bool) {
	w, id := p.l.w, p.o.Package+"::"+name
	w.mu.Lock()
	w.runs[id]++
	p.begun = append(p.begun, id)
	w.pauses[name] = max(w.pauses[name], p.o.Delay)
	first = w.runs[id] == 1
	second := w.runs[id] == 2
	hold := w.holds[name]
	crowd := w.running[p.o.Package] > 1
	w.mu.Unlock()
	p.l.post(wire.Report{Events: []test2json.Event{{Action: "run", Package: p.o.Package, Test: name}}})
	if hold != nil {
		select {
		case <-hold:
		case <-p.l.quit: // the run has ended without it
		}
	}
	kind, _, _ = strings.Cut(strings.TrimPrefix(name, "Test"), "_")
	if quiet, ok := strings.CutPrefix(kind, "Loud"); ok {
		kind = quiet
		p.l.post(wire.Report{Events: []test2json.Event{{Action: "output", Package: p.o.Package, Test: name, Output: strings.Repeat("x", heldBytes+1)}}})
	}
	if crowd && strings.HasPrefix(kind, "Shy") {
		w.meet.over()
	}
	kind = w.moody(kind, p.names, crowd, len(p.names) == len(w.packages[p.o.Package]))
	if flaky, ok := strings.CutPrefix(kind, "Flaky"); ok {
		if kind = "Pass"; first {
			kind = cmp.Or(flaky, "Fail")
		}
	}
	if strings.HasPrefix(kind, "Racy") && !first {
		kind = "Pass"
	}
	if odd, ok := strings.CutPrefix(kind, "Second"); ok {
		if kind = "Pass"; second {
			kind = odd
		}
	}
	if kind == "Wreck" && first {
		kind = "Kill"
	}
	if kind == "Forlorn" {
		kind = w.moody("Spoiled", p.names, crowd, false)
		if second {
			kind = "Loser"
		}
	}
	if kind == "Fickle" {
		kind = map[bool]string{true: "Pass", false: "Fail"}[first]
	}
	return kind, first
}

// misbehave plays the kinds of tests that end more than themselves.
func (p *fakeProcess) misbehave(name, kind string, first bool) after {
	switch kind {
	case "Wedge":
		if limit := p.o.TestTimeouts[name]; limit > 0 {
			p.die(name, -1, "killed")
			p.result.TestTimeout = limit
			break
		}
		p.say(name, "panic: test timed out after 10m0s\n")
		p.die(name, 2, "")
		p.result.TimedOut = true
	case "Stuck":
		limit := p.o.TestTimeouts[name]
		if limit <= 0 {
			return goesOn
		}
		p.die(name, -1, "killed")
		p.result.TestTimeout = limit
	case "RacyMap":
		p.say(name, "fatal error: concurrent map writes\n")
		p.die(name, 2, "")
	case "Exit":
		p.die(name, 3, "")
	case "Signal":
		p.die(name, -1, "segmentation fault")
	case "Late":
		if p.l.w.quick && !first {
			return goesOn
		}
		p.die(name, 2, "")
		p.result.TimedOut, p.result.TestTimeout = true, p.o.TestTimeout
	case "Hang":
		for a := range p.l.orders {
			if a.Quit {
				p.say(name, "SIGQUIT: quit\ngoroutine 1 [select]:\n")
				p.die(name, 2, "")
				return processEnds
			}
			if a.Stop {
				break
			}
		}
		p.die("", -1, "")
		p.result.Interrupted = true
	case "Kill":
		return agentEnds
	case "Flood":
		o := *p.o
		o.Names = []string{name}
		for i := 0; p.l.post(p.l.w.flood(&o, i)); i++ {
		}
		return agentEnds
	case "Lost", "Loser":
		if !first && kind == "Lost" {
			return goesOn
		}
		p.l.err = errSilent
		return agentEnds
	case "Once":
		if first {
			return agentEnds
		}
		return goesOn
	default:
		return goesOn
	}
	return processEnds
}

// verdict plays what is left of a test that ends by itself, and returns how: Pass, Fail or Skip.
func (p *fakeProcess) verdict(name, kind string) string {
	switch kind {
	case "Long", "LongFail":
		for _, action := range []string{"run", "pass"} {
			p.l.post(wire.Report{Events: []test2json.Event{{Action: action, Package: p.o.Package, Test: name + "/sub"}}})
		}
		kind = cmp.Or(strings.TrimPrefix(kind, "Long"), "Pass")
	case "Little":
		kind = "Pass"
		if p.l.goarch == "s390x" {
			kind = "Fail"
		}
	case "Stuck", "Lost", "Once", "Wreck", "Late":
		kind = "Pass"
	case "Torrent":
		for range 100 {
			p.say(name, strings.Repeat("x", 1<<20))
		}
		kind = "Fail"
	case "Chat", "ChatFail":
		p.chat(name)
		kind = cmp.Or(strings.TrimPrefix(kind, "Chat"), "Pass")
	case "Racy":
		p.say(name, "    testing.go:1712: race detected during execution of test\n")
		kind = "Fail"
	}
	if kind == "Fail" {
		p.fail(1)
	}
	return kind
}

// chatReports is how many reports a chat has, and chatWeight what each takes, at most.
const (
	chatReports = 20
	chatWeight  = 60 * (eventWeight + 60)
)

// chat says something in 400 subtests.
func (p *fakeProcess) chat(test string) {
	for i := range chatReports {
		var events []test2json.Event
		for k := range 20 {
			e := test2json.Event{Action: "run", Package: p.o.Package, Test: fmt.Sprintf("%s/%d-%d", test, i, k)}
			output, end := e, e
			output.Action, output.Output = "output", strings.Repeat("x", 30)+"\n"
			end.Action = "pass"
			events = append(events, e, output, end)
		}
		p.l.post(wire.Report{Events: events})
	}
}

// meeting is what the first process of a package waits for, so that there are two at once however
// busy the machine is. A nil one is over.
type meeting struct {
	shy  bool
	once sync.Once
	done chan struct{} // closed by over
}

func newMeeting(shy bool) *meeting { return &meeting{shy: shy, done: make(chan struct{})} }

func (m *meeting) over() {
	if m != nil {
		m.once.Do(func() { close(m.done) })
	}
}

func (m *meeting) wait(quit <-chan struct{}) {
	if m == nil {
		return
	}
	select {
	case <-m.done:
	case <-quit:
	}
}

// moody is what a test of a kind does among others.
func (w *world) moody(kind string, names []string, crowd, all bool) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	fails := false
	switch kind {
	case "Shy", "ShyExit", "ShyWedge":
		fails = crowd
	case "After":
		fails = !all
	case "First", "FirstExit":
		fails = all
	case "Crowded", "Squeezed":
		processes := 0
		for _, n := range w.running {
			processes += n
		}
		fails = processes > 1 && (all || kind == "Crowded")
	case "Spoiled":
		fails = slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "TestSpoiler_") })
	case "Spoiler":
		return "Pass"
	default:
		return kind
	}
	switch {
	case !fails:
		return "Pass"
	case kind == "ShyExit", kind == "FirstExit":
		kind = "Exit"
	case kind == "ShyWedge":
		kind = "Wedge"
	default:
		kind = "Fail"
	}
	w.shied++
	return kind
}

// profileOf is what a process leaves that ran these tests, "" for nothing.
func (w *world) profileOf(names []string) string {
	if w.profile == nil {
		return ""
	}
	return w.profile(names)
}

package scheduler

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// When all nodes together hold too much, transcripts get shorter. No node is ended, and every test
// has its verdict.
func TestAccountOfAllNodes(t *testing.T) {
	w := newWorld(t, 4, map[string][]string{"a": names("Chat", "ChatFail", "Pass", "Chat", "ChatFail"), "b": names("Chat", "Pass", "Chat", "Skip"), "c": many("Chat", 20)})
	const most = 5 * chatWeight
	var c *controller
	w.adjust = func(made *controller) { c, made.base = made, most-4*nodeHeld }
	peak, lost := 0, 0
	s, r, err := w.runWith(t.Context(), func(event.Event) {
		peak = max(peak, c.held())
		for _, n := range c.nodes {
			if n.job == nil {
				continue
			}
			gone := 0
			n.job.transcripts(func(t *transcript) { gone += t.gone })
			if lost = max(lost, gone); gone != n.job.gone {
				t.Errorf("%d bytes are left out, and %d are counted", gone, n.job.gone)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.check(s, r)
	w.wantCounts(s, map[event.Verdict]int{event.Pass: 26, event.Fail: 2, event.Skip: 1})
	for _, e := range r.events {
		if down, ok := e.(event.GatewayDown); ok && strings.Contains(down.Reason, "refuse") {
			t.Errorf("%s ended: %s", down.Gateway, down.Reason)
		}
	}
	if lost == 0 {
		t.Error("no subtest was left out")
	}
	if peak > 2*most {
		t.Errorf("%d bytes were held, and %d may be", peak, most)
	}
	if peak < most {
		t.Errorf("only %d bytes were held: the account was never full", peak)
	}
}

// curtail keeps both ends, whole subtests in them, and says what is missing.
func TestCurtail(t *testing.T) {
	events := []test2json.Event{{Action: "run", Test: "TestA"}}
	for i := range 1000 {
		sub := fmt.Sprint("TestA/", i)
		events = append(events, test2json.Event{Action: "run", Test: sub}, test2json.Event{Action: "output", Test: sub, Output: "x\n"}, test2json.Event{Action: "pass", Test: sub})
	}
	events = append(events, test2json.Event{Action: "output", Test: "TestA", Output: "y\n"}, test2json.Event{Action: "fail", Test: "TestA"})
	once := curtail(events, 10*eventWeight)
	for _, got := range [][]test2json.Event{once, curtail(once, 10*eventWeight)} {
		begun, gaps := map[string]bool{}, 0
		for _, e := range got {
			switch {
			case e.Output == leftOut:
				gaps++
			case e.Action == "run":
				begun[e.Test] = true
			case !begun[e.Test]:
				t.Errorf("%s of %s, which never began", e.Action, e.Test)
			}
		}
		if last := got[len(got)-1]; got[0] != (test2json.Event{Action: "run", Test: "TestA"}) || last.Action != "fail" || gaps != 1 || len(got) > 25 {
			t.Errorf("%d events, %d gaps, the last is %+v", len(got), gaps, last)
		}
	}
	if got := curtail(once[:5], 10*eventWeight); len(got) != 5 {
		t.Errorf("%d of 5 events are left", len(got))
	}
}

// Of what cannot be left out only the node with most of it is to answer for all.
func TestNodesThatAnswerForAll(t *testing.T) {
	for what, tt := range map[string]struct {
		all int
		set func(*job, int)
	}{
		"tests that its package does not have":   {allStrangers, func(j *job, size int) { j.strangers = size }},
		"subtests that have begun and not ended": {allOpen, func(j *job, size int) { j.open.size = size }},
	} {
		t.Run(what, func(t *testing.T) {
			c := newController(Config{})
			add := func(id string, size int) *node {
				n := &node{id: id, job: &job{}, finish: func() {}}
				tt.set(n.job, size)
				c.nodes[id] = n
				return n
			}
			share := tt.all / 5
			most, honest := add("most", share+1), add("honest", nodeSpared-1)
			for i := range 3 {
				add(fmt.Sprint(i), share)
			}
			if c.fitNodes(most); most.refusal != nil {
				t.Errorf("there is room: %v", most.refusal)
			}
			other := add("4", share)
			if c.fitNodes(honest); most.refusal != nil {
				t.Error("a node with little asks for the sum")
			}
			if c.fitNodes(other) || most.refusal == nil || !strings.Contains(most.refusal.Error(), what) {
				t.Errorf("there is no room, and the node with most is ended for %v", most.refusal)
			}
			if most.job = nil; c.fitNodes(other) || other.refusal != nil {
				t.Errorf("there is room again: %v", other.refusal)
			}
			clear(c.nodes)
			for i := range 100 {
				add(fmt.Sprint(i), nodeSpared)
			}
			if c.fitNodes(c.nodes["7"]); c.nodes["7"].refusal != nil {
				t.Errorf("many nodes with little each: %v", c.nodes["7"].refusal)
			}
			if large := add("large", tt.all+1); !c.fitNodes(large) || large.refusal == nil {
				t.Error("a node that has all of it goes on")
			}
		})
	}
}

package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// items makes n items of unknown cost.
func items(n int) []Item {
	var out []Item
	for i := range n {
		out = append(out, Item{Name: "Test" + strconv.Itoa(i)})
	}
	return out
}

// costs makes items of known costs.
func costs(list ...time.Duration) []Item {
	out := items(len(list))
	for i, c := range list {
		out[i].Cost = c
	}
	return out
}

func all(n int) []int {
	var out []int
	for i := range n {
		out = append(out, i)
	}
	return out
}

// passed is the outcome of a unit whose items all took d.
func passed(items []int, d time.Duration) Outcome {
	out := Outcome{Overhead: 5 * time.Millisecond}
	for _, i := range items {
		out.Done = append(out.Done, ItemTime{Item: i, Elapsed: d})
	}
	return out
}

// story drives a Policy in a test, one line for each step.
type story struct {
	*testing.T
	*Policy
	held map[NodeID]Unit
}

func newStory(t *testing.T, cfg Config) *story {
	return &story{t, New(cfg), map[NodeID]Unit{}}
}

// add adds nodes written as node@host.
func (s *story) add(nodes ...string) {
	for _, n := range nodes {
		id, host, _ := strings.Cut(n, "@")
		s.AddNode(NodeID(id), Node{Host: host})
	}
}

// wants asks for node and compares the unit, written as "package:items", "package:items!" when it
// is whole, or "" for none.
func (s *story) wants(id NodeID, want string) {
	s.Helper()
	u, ok := s.Next(id)
	got := ""
	if ok {
		s.held[id] = u
		got = fmt.Sprintf("%d:%s", u.Package, strings.Trim(fmt.Sprint(u.Items), "[]"))
		if u.Whole {
			got += "!"
		}
	}
	if got != want {
		s.Fatalf("next for %s is %q, want %q", id, got, want)
	}
	check(s.T, s.Policy)
}

// gets asks for node and returns the unit it must get.
func (s *story) gets(id NodeID) Unit {
	s.Helper()
	u, ok := s.Next(id)
	if !ok {
		s.Fatalf("nothing for %s", id)
	}
	s.held[id] = u
	return u
}

// passes ends node's unit well.
func (s *story) passes(id NodeID) {
	s.Finish(id, passed(s.held[id].Items, time.Millisecond))
	check(s.T, s.Policy)
}

// crashes ends node's unit with the first n of its items done.
func (s *story) crashes(id NodeID, n int) {
	items := s.held[id].Items
	out := passed(items[:n], time.Millisecond)
	out.Requeue = items[n:]
	s.Finish(id, out)
	check(s.T, s.Policy)
}

func TestStories(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		tell func(s *story)
	}{
		{"a small package runs whole, and the run is done only when no package will come", Config{}, func(s *story) {
			s.add("gw0@h")
			s.AddPackage(Package{ID: 7, Items: items(3)})
			s.wants("gw0", "7:0 1 2!")
			s.passes("gw0")
			s.wants("gw0", "")
			if s.Done() || !s.Idle() {
				s.Error("done before NoMore, or not idle")
			}
			s.NoMore()
			if !s.Done() || !s.Complete(7) {
				s.Error("not done after NoMore, or package not complete")
			}
		}},
		{"a package without items runs once", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1})
			s.NoMore()
			if s.Idle() || s.Complete(1) {
				s.Error("idle before its binary ran")
			}
			s.wants("gw0", "1:!")
			s.wants("gw1", "")
			if s.Done() {
				s.Error("done while it runs")
			}
			s.Finish("gw0", Outcome{})
			if !s.Done() || !s.Complete(1) {
				s.Error("not done after it ran")
			}
		}},
		{"a package without items runs again when its node dies, not when it is known to have run", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h", "gw2@h")
			s.AddPackage(Package{ID: 1})
			s.NoMore()
			s.wants("gw0", "1:!")
			if u, lost := s.RemoveNode("gw0", nil); !lost || u.Package != 1 {
				s.Errorf("lost %v, %v", u, lost)
			}
			s.wants("gw1", "1:!")
			s.RemoveNode("gw1", &Outcome{})
			s.wants("gw2", "")
			if !s.Done() {
				s.Error("not done")
			}
		}},
		{"of few items that nobody knows no node begins with many more", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h", "gw2@h", "gw3@h")
			s.AddPackage(Package{ID: 1, Items: items(21)})
			for _, n := range []NodeID{"gw0", "gw1", "gw2", "gw3"} {
				if u := s.gets(n); len(u.Items) == 0 || len(u.Items) > 2 {
					s.Errorf("%s gets %d items, want 1 or 2", n, len(u.Items))
				}
			}
		}},
		{"a crash: what is left goes first, as its own batch", Config{}, func(s *story) {
			s.add("gw0@h")
			s.AddPackage(Package{ID: 1, Items: items(5)})
			s.AddPackage(Package{ID: 2, Items: items(4)})
			s.wants("gw0", "1:0 1 2 3 4!")
			s.add("gw1@h")
			s.crashes("gw0", 4)
			s.wants("gw1", "1:4")
			if u := s.gets("gw0"); u.Package != 2 {
				s.Errorf("package %d, want 2", u.Package)
			}
		}},
		{"a unit that comes back without a verdict is halved until the culprit is alone", Config{}, func(s *story) {
			s.add("gw0@h")
			s.AddPackage(Package{ID: 1, Items: items(5)})
			s.wants("gw0", "1:0 1 2 3 4!")
			s.crashes("gw0", 0)
			s.wants("gw0", "1:0 1")
			s.crashes("gw0", 0)
			s.wants("gw0", "1:2 3 4")
			s.passes("gw0")
			s.wants("gw0", "1:0")
			s.passes("gw0")
			s.wants("gw0", "1:1")
			s.crashes("gw0", 0)
			s.wants("gw0", "1:1")
		}},
		{"a node dies: what has no verdict returns", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: items(3)})
			s.wants("gw0", "1:0 1 2!")
			out := passed([]int{0}, 0)
			out.Requeue = []int{2, 1}
			s.RemoveNode("gw0", &out)
			s.wants("gw1", "1:1")
			s.passes("gw1")
			s.wants("gw1", "1:2")
		}},
		{"a node dies idle", Config{}, func(s *story) {
			s.add("gw0@h")
			if u, lost := s.RemoveNode("gw0", nil); lost {
				s.Errorf("lost %v", u)
			}
			s.add("gw0@h")
		}},
		{"a Whole package is never split, and comes back whole", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: items(1000), Spread: Whole})
			if u := s.gets("gw0"); len(u.Items) != 1000 || !u.Whole {
				s.Errorf("%d items, whole %v", len(u.Items), u.Whole)
			}
			s.wants("gw1", "")
			s.RemoveNode("gw0", nil)
			if u := s.gets("gw1"); len(u.Items) != 1000 || !u.Whole {
				s.Errorf("after the node died: %d items, whole %v", len(u.Items), u.Whole)
			}
		}},
		{"a Whole package goes before larger ones that can be divided", Config{}, func(s *story) {
			s.add("gw0@h")
			s.AddPackage(Package{ID: 1, Items: items(100)})
			s.AddPackage(Package{ID: 2, Items: items(2), Spread: Whole})
			s.wants("gw0", "2:0 1!")
		}},
		{"Serialize: one unit at a time", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: items(400)})
			s.gets("gw0")
			s.gets("gw1")
			s.Serialize(1)
			s.passes("gw0")
			s.wants("gw0", "")
			s.passes("gw1")
			rest := s.Pending()
			if u := s.gets("gw0"); len(u.Items) != rest {
				s.Errorf("%d items, want the rest of %d", len(u.Items), rest)
			}
			s.wants("gw1", "")
		}},
		{"a serialized package is halved too", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: items(4)})
			s.Serialize(1)
			s.wants("gw0", "1:0 1 2 3!")
			s.crashes("gw0", 0)
			s.wants("gw0", "1:0 1")
			s.wants("gw1", "")
		}},
		{"a unit that comes back with a verdict is not halved", Config{}, func(s *story) {
			s.add("gw0@h")
			s.AddPackage(Package{ID: 1, Items: items(4)})
			s.Serialize(1)
			s.wants("gw0", "1:0 1 2 3!")
			s.crashes("gw0", 1)
			s.wants("gw0", "1:1 2 3")
		}},
		{"Drop returns what is pending, in order, and leaves the unit in flight", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: items(100)})
			u := s.gets("gw0")
			s.gets("gw1")
			s.crashes("gw1", 1)
			dropped := s.Drop(1)
			want := slices.DeleteFunc(all(100), func(i int) bool { return slices.Contains(u.Items, i) || i == s.held["gw1"].Items[0] })
			if diff := cmp.Diff(want, dropped); diff != "" {
				s.Error(diff)
			}
			s.wants("gw1", "")
			s.crashes("gw0", 2)
			if diff := cmp.Diff(u.Items[2:], s.Drop(1)); diff != "" {
				s.Error(diff)
			}
			s.NoMore()
			if !s.Done() {
				s.Error("not done")
			}
		}},
		{"Revoke withdraws everything, runs that are owed included", Config{}, func(s *story) {
			s.add("gw0@h")
			s.AddPackage(Package{ID: 3, Items: items(2)})
			s.AddPackage(Package{ID: 2})
			s.AddPackage(Package{ID: 1, Items: items(4)})
			s.wants("gw0", "1:0 1 2 3!")
			want := []Withdrawn{{Package: 3, Items: []int{0, 1}}, {Package: 2}}
			if diff := cmp.Diff(want, s.Revoke()); diff != "" {
				s.Error(diff)
			}
			s.passes("gw0")
			if !s.Idle() {
				s.Error("not idle")
			}
		}},
		{"MaxBytes bounds a unit, a longer name runs alone, a whole package is not bounded", Config{MaxBytes: 12}, func(s *story) {
			s.add("gw0@h")
			s.AddPackage(Package{ID: 1, Spread: Whole, Items: []Item{{Name: "TestA"}, {Name: "TestB"}, {Name: "TestC"}, {Name: "TestLongerThanAll"}, {Name: "TestD"}}})
			s.wants("gw0", "1:0 1 2 3 4!")
			s.RemoveNode("gw0", &Outcome{Done: []ItemTime{{Item: 0}}, Requeue: []int{1, 2, 3, 4}})
			s.add("gw0@h")
			for _, want := range []string{"1:1 2", "1:3", "1:4", ""} {
				s.wants("gw0", want)
				if want != "" {
					s.passes("gw0")
				}
			}
		}},
		{"a node goes on with the package whose binary it has", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@g")
			s.AddPackage(Package{ID: 1, Items: items(200)})
			s.AddPackage(Package{ID: 2, Items: items(150)})
			a, b := s.gets("gw0"), s.gets("gw1")
			s.passes("gw1")
			s.passes("gw0")
			if c, d := s.gets("gw0"), s.gets("gw1"); c.Package != a.Package || d.Package != b.Package || a.Package == b.Package {
				s.Errorf("packages %d then %d, and %d then %d", a.Package, c.Package, b.Package, d.Package)
			}
		}},
		{"InOrder: packages begin as they came, whatever they cost, and what comes back is first", Config{InOrder: true, PerHost: 1}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Spread: Alone, Items: costs(time.Second)})
			s.AddPackage(Package{ID: 2, Spread: Alone, Items: items(3)})
			s.AddPackage(Package{ID: 3, Spread: Alone, Items: costs(3*time.Second, time.Second)})
			s.wants("gw1", "1:0!")
			s.wants("gw0", "")
			s.passes("gw1")
			s.wants("gw1", "2:0 1 2!")
			s.RemoveNode("gw1", &Outcome{Requeue: []int{0, 1, 2}})
			s.wants("gw0", "2:0 1 2!")
			s.passes("gw0")
			s.wants("gw0", "3:0 1!")
		}},
		{"LoadScope: the largest scope first, a scope stays on one node, and nodes too many get nothing", Config{Mode: LoadScope}, func(s *story) {
			s.add("gw0@h", "gw1@h", "gw2@h")
			s.AddPackage(Package{ID: 1, Items: items(2)})
			s.AddPackage(Package{ID: 2, Items: items(3)})
			s.wants("gw0", "2:0 1 2!")
			s.wants("gw1", "1:0 1!")
			s.wants("gw2", "")
			s.crashes("gw0", 1)
			s.wants("gw2", "")
			s.wants("gw0", "2:1 2")
			s.RemoveNode("gw0", nil)
			s.wants("gw2", "2:1 2")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.tell(newStory(t, tt.cfg)) })
	}
}

func TestAlone(t *testing.T) {
	for _, tt := range []struct {
		name string
		tell func(s *story)
	}{
		{"its host drains, then runs nothing else", func(s *story) {
			s.add("gw0@h", "gw1@h", "gw2@h")
			s.AddPackage(Package{ID: 1, Items: items(2)})
			s.AddPackage(Package{ID: 2, Items: items(1)})
			s.wants("gw0", "1:0 1!")
			s.AddPackage(Package{ID: 9, Items: items(1), Spread: Alone})
			s.wants("gw1", "")
			s.wants("gw2", "")
			s.passes("gw0")
			s.wants("gw1", "9:0!")
			s.wants("gw0", "")
			s.passes("gw1")
			s.wants("gw0", "2:0!")
		}},
		{"a host that runs nothing takes it, and no other drains", func(s *story) {
			s.add("gw0@h", "gw1@h", "gw2@free")
			s.AddPackage(Package{ID: 1, Items: items(2)})
			s.AddPackage(Package{ID: 2, Items: items(1)})
			s.wants("gw0", "1:0 1!")
			s.AddPackage(Package{ID: 9, Spread: Alone})
			s.wants("gw1", "2:0!")
			s.wants("gw2", "9:!")
		}},
		{"a host that drains for it dies, another takes it", func(s *story) {
			s.add("gw0@h", "gw1@h", "gw2@g")
			s.AddPackage(Package{ID: 1, Items: items(1)})
			s.AddPackage(Package{ID: 2, Items: items(1)})
			s.wants("gw0", "1:0!")
			s.wants("gw2", "2:0!")
			s.AddPackage(Package{ID: 9, Items: items(1), Spread: Alone})
			s.wants("gw1", "")
			s.passes("gw2")
			s.wants("gw2", "") // host h has it
			s.RemoveNode("gw1", nil)
			s.RemoveNode("gw0", nil)
			s.wants("gw2", "9:0!")
			s.passes("gw2")
			s.wants("gw2", "1:0!")
		}},
		{"dropped while a host drains for it", func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: items(2)})
			s.AddPackage(Package{ID: 2, Items: items(1)})
			s.wants("gw0", "1:0 1!")
			s.AddPackage(Package{ID: 9, Items: items(1), Spread: Alone})
			s.wants("gw1", "")
			s.Drop(9)
			s.wants("gw1", "2:0!")
		}},
		{"it dies with its node and runs again, alone", func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 9, Items: items(2), Spread: Alone})
			s.AddPackage(Package{ID: 1, Items: items(1)})
			s.wants("gw0", "9:0 1!")
			s.wants("gw1", "")
			s.RemoveNode("gw0", nil)
			s.wants("gw1", "9:0 1!")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.tell(newStory(t, Config{})) })
	}
}

// TestImpossibleCalls makes each call that a correct caller cannot make.
func TestImpossibleCalls(t *testing.T) {
	busy := func() *Policy {
		p := New(Config{})
		p.AddNode("busy", Node{Host: "h"})
		p.AddNode("idle", Node{Host: "h"})
		p.AddPackage(Package{ID: 1, Items: items(2)})
		p.Next("busy")
		return p
	}
	for name, call := range map[string]func(p *Policy){
		"next for an unknown node":                       func(p *Policy) { p.Next("x") },
		"next for a busy node":                           func(p *Policy) { p.Next("busy") },
		"finish of an unknown node":                      func(p *Policy) { p.Finish("x", Outcome{}) },
		"finish of an idle node":                         func(p *Policy) { p.Finish("idle", Outcome{}) },
		"finish with too few items":                      func(p *Policy) { p.Finish("busy", passed([]int{0}, 0)) },
		"finish with an item twice":                      func(p *Policy) { p.Finish("busy", Outcome{Done: []ItemTime{{Item: 0}}, Requeue: []int{0, 1}}) },
		"finish with an item of others":                  func(p *Policy) { p.Finish("busy", passed([]int{0, 5}, 0)) },
		"removal of an unknown node":                     func(p *Policy) { p.RemoveNode("x", nil) },
		"outcome of a node without unit":                 func(p *Policy) { p.RemoveNode("idle", &Outcome{}) },
		"removal with an outcome that is not the unit's": func(p *Policy) { p.RemoveNode("busy", &Outcome{Requeue: []int{1}}) },
		"a node twice":                                   func(p *Policy) { p.AddNode("idle", Node{Host: "h"}) },
		"a package twice":                                func(p *Policy) { p.AddPackage(Package{ID: 1}) },
		"a package after NoMore":                         func(p *Policy) { p.NoMore(); p.AddPackage(Package{ID: 2}) },
		"drop of an unknown package":                     func(p *Policy) { p.Drop(5) },
		"serialize of an unknown package":                func(p *Policy) { p.Serialize(5) },
		"isolation of an unknown package":                func(p *Policy) { p.Isolate(5, true) },
		"wake of what is not dormant":                    func(p *Policy) { p.Wake(1, 0) },
		"wake of an item that is not there":              func(p *Policy) { p.Wake(1, 9) },
		"withdrawal of an item that is not there":        func(p *Policy) { p.Withdraw(1, []int{9}) },
		"an item of a family that is not there":          func(p *Policy) { p.AddPackage(Package{ID: 3, Items: []Item{{Family: 1}}}) },
		"complete of an unknown package":                 func(p *Policy) { p.Complete(5) },
	} {
		t.Run(name, func(t *testing.T) {
			p := busy()
			defer func() {
				if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: ") {
					t.Errorf("recovered %q, want a text that begins with BUG: ", s)
				}
				check(t, p)
			}()
			call(p)
		})
	}
}

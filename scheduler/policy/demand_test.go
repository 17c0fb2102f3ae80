package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDemands(t *testing.T) {
	const ms = time.Millisecond
	families := func(list ...Demand) Package {
		p := Package{ID: 1, Families: list}
		for i := range list {
			p.Items = append(p.Items, Item{Name: "Test", Cost: time.Duration(10-i) * sec, Family: i})
		}
		return p
	}
	for _, tt := range []struct {
		name string
		cfg  Config
		tell func(s *story)
	}{
		{"families do not share a unit", Config{}, func(s *story) {
			s.add("gw0@h")
			s.AddPackage(Package{ID: 1, Families: make([]Demand, 2), Items: []Item{{Name: "A", Cost: ms}, {Name: "B", Cost: ms, Family: 1}, {Name: "C", Cost: ms}}})
			s.wants("gw0", "1:0 2")
			s.passes("gw0")
			s.wants("gw0", "1:1")
		}},
		{"a group stays on its node, and moves when that is gone", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			g := Demand{Group: "g"}
			s.AddPackage(families(g, g, g))
			s.wants("gw0", "1:0")
			s.wants("gw1", "")
			s.passes("gw0")
			s.wants("gw0", "1:1")
			s.RemoveNode("gw0", nil)
			s.wants("gw1", "1:1")
		}},
		{"a label picks the node, and what no node has is unservable and in nobody's way", Config{}, func(s *story) {
			s.AddNode("gw0", Node{Host: "h"})
			s.AddNode("gw1", Node{Host: "h", Labels: []string{"gpu"}})
			s.AddPackage(families(Demand{Requires: []string{"fpga"}}, Demand{Requires: []string{"gpu"}}, Demand{}))
			s.wants("gw0", "1:2")
			s.wants("gw1", "1:1")
			if diff := cmp.Diff([]Withdrawn{{Package: 1, Items: []int{0}}}, s.Unservable()); diff != "" {
				s.Error(diff)
			}
			s.AddNode("gw2", Node{Host: "h", Labels: []string{"fpga"}})
			if got := s.Unservable(); got != nil {
				s.Errorf("unservable: %v", got)
			}
			s.wants("gw2", "1:0")
		}},
		{"a resource is a semaphore across hosts, and who needs more than there is runs alone", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@g", "gw2@f")
			db := func(n int) Demand { return Demand{Resources: []Resource{{"db", n, 2}}} }
			s.AddPackage(families(db(0), db(1), db(5)))
			s.wants("gw0", "1:0")
			s.wants("gw1", "1:1")
			s.wants("gw2", "")
			s.passes("gw0")
			s.wants("gw2", "")
			s.passes("gw1")
			s.wants("gw2", "1:2")
		}},
		{"an exclusive family has its host for itself", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(families(Demand{}, Demand{Exclusive: true}, Demand{}))
			s.wants("gw0", "1:1")
			s.wants("gw1", "")
			s.passes("gw0")
			s.wants("gw1", "1:0")
		}},
		{"weight occupies nodes, at most all of a host", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h", "gw2@h", "gw3@g")
			s.AddPackage(families(Demand{Weight: 2}, Demand{}, Demand{}, Demand{Weight: 9}))
			s.wants("gw0", "1:0")
			s.wants("gw1", "1:1")
			s.wants("gw2", "")
			s.wants("gw3", "1:3")
		}},
		{"a part fails: the others are withdrawn, and the whole wakes after NoMore", Config{}, func(s *story) {
			s.add("gw0@h")
			s.AddPackage(Package{ID: 1, Families: make([]Demand, 3), Items: []Item{
				{Name: "TestX", Cost: 9 * sec, Family: 1}, {Name: "TestX", Cost: 8 * sec, Family: 1}, {Name: "TestX", Cost: sec, Family: 2}, {Name: "TestX", Cost: 18 * sec, Dormant: true},
			}})
			s.NoMore()
			s.wants("gw0", "1:0")
			if diff := cmp.Diff([]int{1, 2}, s.Withdraw(1, []int{2, 0, 1, 3})); diff != "" {
				s.Error(diff)
			}
			s.passes("gw0")
			if !s.Done() {
				s.Error("not done while the whole is dormant")
			}
			s.Wake(1, 3)
			if s.Done() || s.Complete(1) {
				s.Error("done although the whole waits")
			}
			s.wants("gw0", "1:3")
			s.passes("gw0")
			if !s.Done() {
				s.Error("not done")
			}
		}},
		{"doubt waits for all families, and then runs one family at a time", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h", "gw2@h")
			s.AddPackage(families(Demand{}, Demand{}, Demand{}))
			s.wants("gw0", "1:0")
			s.wants("gw1", "1:1")
			s.wants("gw2", "1:2")
			s.Finish("gw0", Outcome{Park: []int{0}})
			s.Finish("gw1", Outcome{Park: []int{1}})
			s.wants("gw0", "")
			s.passes("gw2")
			s.wants("gw0", "1:0")
			s.wants("gw1", "")
			s.passes("gw0")
			s.wants("gw1", "1:1")
		}},
		{"a retry waits until all else was given out, and doubt until all has ended", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h", "gw2@h")
			s.AddPackage(Package{ID: 1, Items: costs(9*sec, 8*sec, 7*sec, 6*sec)})
			s.wants("gw0", "1:0")
			s.wants("gw1", "1:1")
			s.wants("gw2", "1:2")
			s.Finish("gw0", Outcome{Retry: []int{0}})
			s.Finish("gw1", Outcome{Park: []int{1}})
			s.wants("gw0", "1:3")
			s.wants("gw1", "1:0") // beside two others
			s.passes("gw0")
			s.passes("gw1")
			s.wants("gw0", "")
			s.passes("gw2")
			s.wants("gw0", "1:1")
		}},
		{"a retry is not made smaller", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: costs(9*sec, 8*sec, sec)})
			s.Take("gw0", 1, []int{0, 1})
			s.wants("gw1", "1:2")
			s.Finish("gw0", Outcome{Retry: []int{0, 1}})
			s.wants("gw0", "1:0 1")
		}},
		{"Isolate to be last: only what is in doubt has its host for itself", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: costs(9*sec, 8*sec, 7*sec, 6*sec)})
			s.wants("gw0", "1:0")
			s.wants("gw1", "1:1")
			s.Isolate(1, true)
			s.Finish("gw1", Outcome{Park: []int{1}})
			s.wants("gw1", "1:2")
			s.passes("gw0")
			s.wants("gw0", "1:3")
			s.passes("gw1")
			s.wants("gw1", "")
			s.passes("gw0")
			s.wants("gw0", "1:1")
		}},
		{"Isolate: nothing beside it on its host, and a host drains for it unless it is to be last", Config{}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: items(2)})
			s.AddPackage(Package{ID: 2, Items: items(60), Spread: Serial})
			s.AddPackage(Package{ID: 3, Items: items(1)})
			s.wants("gw0", "2:"+strings.Trim(fmt.Sprint(all(60)), "[]")+"!")
			s.wants("gw1", "1:0 1!")
			s.Finish("gw1", Outcome{Park: []int{0, 1}})
			s.Isolate(1, true)
			s.wants("gw1", "3:0!")
			s.passes("gw1")
			s.wants("gw1", "")
			s.AddPackage(Package{ID: 4, Items: items(1)})
			s.passes("gw0")
			s.wants("gw0", "") // its host is kept for what gw1 will run
			s.wants("gw1", "1:0 1!")
			s.wants("gw0", "")
			s.Finish("gw1", Outcome{Park: []int{0, 1}})
			s.Isolate(1, false)
			s.wants("gw0", "1:0 1!")
			s.wants("gw1", "")
			s.passes("gw0")
			s.wants("gw1", "4:0!")
		}},
		{"the longest goes first, alone, and a slow node leaves it to a faster one", Config{}, func(s *story) {
			s.AddNode("slow", Node{Host: "h", Speed: 1})
			s.AddNode("fast", Node{Host: "g", Speed: 4})
			s.AddPackage(Package{ID: 1, Items: costs(ms, 20*sec, ms, 2*sec)})
			s.wants("slow", "1:0 2")
			s.wants("fast", "1:1")
		}},
		{"WorkSteal: shares are contiguous, and half of the largest rest is stolen from its tail", Config{Mode: WorkSteal}, func(s *story) {
			s.add("gw0@h", "gw1@h")
			s.AddPackage(Package{ID: 1, Items: costs(slices.Repeat([]time.Duration{sec}, 12)...)})
			s.wants("gw0", "1:0")
			s.wants("gw1", "1:6")
			for next := 7; next < 12; {
				s.passes("gw1")
				u := s.gets("gw1")
				if u.Items[0] != next {
					s.Fatalf("unit %v, want %d first", u, next)
				}
				next += len(u.Items)
			}
			s.passes("gw1")
			if u := s.gets("gw1"); u.Items[0] != 3 {
				s.Errorf("stole %v of 1 to 5, want 3 first", u)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.tell(newStory(t, tt.cfg)) })
	}
}

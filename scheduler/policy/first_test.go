package policy

import (
	"testing"
	"time"
)

// What is to be first is given out before what lasts longer, in whatever package and family it is.
func TestFirst(t *testing.T) {
	s := newStory(t, Config{})
	s.add("a@h")
	long := costs(time.Second, 2*time.Second)
	s.AddPackage(Package{ID: 1, Items: long})
	mixed := costs(time.Second, 10*time.Millisecond, time.Second)
	mixed[1].First, mixed[2].Family = true, 1
	s.AddPackage(Package{ID: 2, Items: mixed, Families: []Demand{{}, {}}})
	s.NoMore()
	s.wants("a", "2:1")
	s.passes("a")
	s.wants("a", "1:1")
}

// A package that is not divided is first as a whole when one of its items is, and one whose items
// run one after the other begins with them.
func TestFirstOfUndividedPackages(t *testing.T) {
	for spread, want := range map[Spread]string{Serial: "2:1", Whole: "2:0 1!"} {
		s := newStory(t, Config{})
		s.add("a@h")
		s.AddPackage(Package{ID: 1, Items: costs(time.Second), Spread: spread})
		items := costs(time.Millisecond, time.Millisecond)
		items[1].First = true
		s.AddPackage(Package{ID: 2, Items: items, Spread: spread})
		s.NoMore()
		s.wants("a", want)
	}
}

// Withdrawn items are not given out for being first, and a dormant one is not first before it
// wakes.
func TestFirstThatDoesNotRun(t *testing.T) {
	s := newStory(t, Config{})
	s.add("a@h")
	items := costs(time.Millisecond, time.Millisecond, time.Second)
	items[0].First, items[1].First, items[1].Dormant = true, true, true
	s.AddPackage(Package{ID: 1, Items: items})
	s.NoMore()
	s.Withdraw(1, []int{0})
	s.wants("a", "1:2")
}

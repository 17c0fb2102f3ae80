package policy

import (
	"slices"
	"testing"
)

// TestTake gives out what the caller wants, in the caller's order, and never an item that another
// node has.
func TestTake(t *testing.T) {
	p := New(Config{})
	for _, id := range []NodeID{"gw0", "gw1"} {
		p.AddNode(id, Node{})
	}
	p.AddPackage(Package{ID: 1, Items: []Item{{Name: "A"}, {Name: "B", Cost: 5}, {Name: "C"}, {Name: "D", Dormant: true}}})
	p.AddPackage(Package{ID: 2})
	p.NoMore()
	take := func(id NodeID, in PackageID, want bool, items ...int) {
		t.Helper()
		u, ok := p.Take(id, in, items)
		if ok != want || ok && (u.Package != in || !slices.Equal(u.Items, slices.Sorted(slices.Values(items)))) {
			t.Fatalf("take %v of %d: %v, %v", items, in, u, ok)
		}
		check(t, p)
	}
	finish := func(id NodeID, out Outcome) { p.Finish(id, out); check(t, p) }

	take("gw0", 1, true, 2, 1)
	take("gw1", 1, false, 1, 0) // gw0 has one of them
	take("gw1", 1, false, 3)    // it is dormant
	take("gw1", 1, true, 0)
	finish("gw0", Outcome{Done: []ItemTime{{Item: 1}}, Requeue: []int{2}})
	take("gw0", 1, false, 1) // it is done
	take("gw0", 1, true, 2)
	finish("gw0", Outcome{Done: []ItemTime{{Item: 2}}})
	finish("gw1", Outcome{Done: []ItemTime{{Item: 0}}})
	take("gw1", 2, true)
	finish("gw1", Outcome{})
	take("gw1", 2, false) // it has run
	if !p.Done() {
		t.Error("something is left")
	}
}

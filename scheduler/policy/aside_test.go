package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// scope is a policy with nodes on one host and a package of n items.
func scope(t *testing.T, cfg Config, nodes, n int) *Policy {
	t.Helper()
	p := New(cfg)
	for _, id := range []NodeID{"gw0", "gw1", "gw2", "gw3"}[:nodes] {
		p.AddNode(id, Node{Host: "here"})
	}
	items := make([]Item, n)
	for i := range items {
		items[i] = Item{Name: "T", Cost: time.Second}
	}
	p.AddPackage(Package{ID: 1, Items: items})
	p.NoMore()
	return p
}

// done is an outcome in which all of a unit ended.
func done(u Unit) Outcome {
	var out Outcome
	for _, i := range u.Items {
		out.Done = append(out.Done, ItemTime{i, time.Second})
	}
	return out
}

// What is parked waits for all units of its package, and is one unit then.
func TestPark(t *testing.T) {
	p := scope(t, Config{}, 2, 12)
	first, _ := p.Next("gw0")
	second, _ := p.Next("gw1")
	p.Park(1)
	p.Finish("gw0", Outcome{Park: first.Items})
	if u, ok := p.Next("gw0"); ok {
		t.Fatalf("gave out %v while another unit was in flight", u)
	}
	p.Finish("gw1", done(second))
	u, ok := p.Next("gw0")
	if !ok || len(u.Items) != 12-len(second.Items) || slices.Contains(u.Items, second.Items[0]) {
		t.Fatalf("got %v, %v after a park of all but %v", u, ok, second.Items)
	}
	if _, ok := p.Next("gw1"); ok {
		t.Error("two units of a parked package at once")
	}
	p.Finish("gw0", done(u))
	if !p.Done() {
		t.Error("not done")
	}
}

// A run that is owed comes when the package is at its end, once, and not beside items that wait for
// it.
func TestOwe(t *testing.T) {
	p := scope(t, Config{}, 2, 2)
	a, _ := p.Next("gw0")
	b, _ := p.Next("gw1")
	p.Owe(1)
	p.Finish("gw0", done(a))
	if _, ok := p.Next("gw0"); ok {
		t.Fatal("the owed run began beside a unit")
	}
	p.Finish("gw1", done(b))
	if p.Done() {
		t.Fatal("done, and a run is owed")
	}
	u, ok := p.Next("gw0")
	if !ok || len(u.Items) != 0 || !u.Whole {
		t.Fatalf("got %v, %v", u, ok)
	}
	p.Finish("gw0", Outcome{})
	if !p.Done() {
		t.Error("the owed run is still owed")
	}

	p = scope(t, Config{}, 1, 2)
	a, _ = p.Next("gw0")
	p.Owe(1)
	p.Finish("gw0", Outcome{Park: a.Items})
	b, _ = p.Next("gw0")
	p.Finish("gw0", done(b))
	if u, ok := p.Next("gw0"); !ok || !slices.Equal(u.Items, a.Items) {
		t.Fatalf("got %v, %v for what waited", u, ok)
	}
	p.Finish("gw0", done(a))
	if !p.Done() {
		t.Error("the run that was owed was that of the items, and is still owed")
	}
}

// PerHost bounds the units of a host.
func TestPerHost(t *testing.T) {
	p := scope(t, Config{PerHost: 2}, 4, 40)
	p.Next("gw0")
	u, _ := p.Next("gw1")
	if _, ok := p.Next("gw2"); ok {
		t.Fatal("three units at once")
	}
	p.Finish("gw1", done(u))
	if _, ok := p.Next("gw3"); !ok {
		t.Error("no unit though there is room")
	}
}

// A node that got nothing is not asked again while the stamp is the same. What a unit puts aside is
// for nobody, and changes no stamp. What comes back, and what was aside for long enough, does.
func TestStampChangesWithWhatMayStart(t *testing.T) {
	p := New(Config{})
	for i := range 160 { // one round of so many is ten units
		p.AddNode(NodeID(fmt.Sprint("gw", i)), Node{Host: "here"})
	}
	next := func(node NodeID) Unit {
		t.Helper()
		u, ok := p.Next(node)
		if !ok {
			t.Fatalf("nothing for %s", node)
		}
		return u
	}
	p.AddPackage(Package{ID: 1, Items: items(2), Size: 1})
	next("gw0") // in flight to the end
	p.Finish("gw1", done(next("gw1")))
	p.AddPackage(Package{ID: 2, Items: items(2), Size: 1})
	p.NoMore()
	a, b := next("gw1"), next("gw2")
	refused := func() uint64 {
		t.Helper()
		if u, ok := p.Next("gw3"); ok {
			t.Fatalf("gw3 gets %v", u)
		}
		return p.Stamp()
	}
	stamp := refused()
	p.Finish("gw1", Outcome{Park: a.Items})
	if got := refused(); got != stamp || stamp == 0 {
		t.Errorf("the stamp went from %x to %x, and there is nothing more to start", stamp, got)
	}
	p.Finish("gw2", Outcome{Requeue: b.Items})
	if got := p.Stamp(); got == stamp {
		t.Errorf("the stamp is still %x, and a unit came back", got)
	}
	b = next("gw2")
	stamp = refused()
	p.Finish("gw2", done(b))
	if got := p.Stamp(); got == stamp {
		t.Errorf("the stamp is still %x, and what was parked may start", got)
	}
	if u := next("gw3"); !slices.Equal(u.Items, a.Items) {
		t.Errorf("gw3 gets %v, want what was parked, %v", u.Items, a.Items)
	}
}

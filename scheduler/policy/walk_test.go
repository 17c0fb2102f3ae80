package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// place of an item in the walker's own books.
type place byte

const (
	pendingPlace place = iota
	heldPlace
	donePlace
	withdrawnPlace
)

// walker plays a caller that does everything a caller may do, in random order, and keeps its own books.
type walker struct {
	testing.TB
	*Policy
	r      *rand.Rand
	mode   Mode
	items  map[PackageID][]place
	runs   map[PackageID]place // of packages without items
	single map[PackageID]bool  // at most one unit may start
	whole  map[PackageID]bool
	doubts map[PackageID]map[int]bool // items that wait for all else of their package
	held   map[NodeID]Unit
	hosts  map[NodeID]string
	ids    []NodeID
	next   int // names of nodes
	packs  int // packages to come
	log    []string
}

func newWalker(t testing.TB, seed uint64) *walker {
	r := rand.New(rand.NewPCG(seed, 3))
	mode := Mode(r.IntN(2))
	return &walker{
		TB: t, r: r, mode: mode, packs: 1 + r.IntN(12),
		Policy: New(Config{Mode: mode, MaxBytes: 1 + r.IntN(200)}),
		items:  map[PackageID][]place{}, runs: map[PackageID]place{}, single: map[PackageID]bool{}, whole: map[PackageID]bool{}, doubts: map[PackageID]map[int]bool{},
		held: map[NodeID]Unit{}, hosts: map[NodeID]string{},
	}
}

func (w *walker) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *walker) fail(format string, args ...any) {
	w.Helper()
	for _, l := range w.log[max(0, len(w.log)-40):] {
		w.Log(l)
	}
	w.Fatalf(format, args...)
}

func (w *walker) addPackage() {
	id := PackageID(w.packs)
	w.packs--
	in := Package{ID: id, Whole: w.r.IntN(6) == 0, Alone: w.r.IntN(6) == 0}
	if w.r.IntN(5) > 0 {
		in.Items = items(w.r.IntN(60))
	}
	w.AddPackage(in)
	w.items[id] = make([]place, len(in.Items))
	if len(in.Items) == 0 {
		w.runs[id] = pendingPlace
	}
	w.whole[id] = in.Whole || in.Alone || w.mode == LoadScope
	w.single[id] = w.whole[id]
	w.Expect(w.r.IntN(100), w.packs, 0)
	if w.packs == 0 {
		w.NoMore()
	}
	w.note("package %d with %d items, whole %v, alone %v", id, len(in.Items), in.Whole, in.Alone)
}

func (w *walker) addNode() {
	id := NodeID("gw" + strconv.Itoa(w.next))
	w.next++
	w.hosts[id] = "h" + strconv.Itoa(w.r.IntN(3))
	w.AddNode(id, Node{Host: w.hosts[id]})
	w.ids = append(w.ids, id)
	w.note("node %s on %s", id, w.hosts[id])
}

// ask asks for one idle node.
func (w *walker) ask(id NodeID) bool {
	u, ok := w.Next(id)
	w.note("next %s: %v %v", id, u, ok)
	if !ok {
		return false
	}
	if w.single[u.Package] {
		for other, v := range w.held {
			if v.Package == u.Package {
				w.fail("package %d, one unit at a time, starts on %s while on %s", u.Package, id, other)
			}
		}
	}
	if w.whole[u.Package] && w.doubts[u.Package] == nil && !slices.Contains(w.items[u.Package], donePlace) && !slices.Contains(w.items[u.Package], withdrawnPlace) && !u.Whole {
		w.fail("package %d is to be whole, and %v is not", u.Package, u.Items)
	}
	if u.Whole != (len(u.Items) == len(w.items[u.Package])) || !slices.IsSorted(u.Items) {
		w.fail("unit %v of a package with %d items", u, len(w.items[u.Package]))
	}
	w.settleDoubts(u)
	w.move(u.Package, u.Items, pendingPlace, heldPlace)
	if len(u.Items) == 0 {
		w.moveRun(u.Package, pendingPlace, heldPlace)
	}
	w.held[id] = u
	return true
}

// settleDoubts checks that items in doubt come when nothing else of their package is left.
func (w *walker) settleDoubts(u Unit) {
	doubts := w.doubts[u.Package]
	if !slices.ContainsFunc(u.Items, func(i int) bool { return doubts[i] }) {
		return
	}
	for i, at := range w.items[u.Package] {
		if !doubts[i] && (at == heldPlace || at == pendingPlace) {
			w.fail("unit %v of package %d has items in doubt while item %d is in place %d", u, u.Package, i, at)
		}
	}
	clear(doubts)
	w.single[u.Package] = true
}

func (w *walker) move(id PackageID, items []int, from, to place) {
	w.Helper()
	for _, i := range items {
		if w.items[id][i] != from {
			w.fail("item %d of package %d is in place %d, want %d", i, id, w.items[id][i], from)
		}
		w.items[id][i] = to
	}
}

func (w *walker) moveRun(id PackageID, from, to place) {
	w.Helper()
	if at, ok := w.runs[id]; !ok || at != from {
		w.fail("run of package %d is in place %d, want %d", id, at, from)
	}
	w.runs[id] = to
}

// outcome invents what became of a unit. Progress is likely, not certain.
func (w *walker) outcome(u Unit) Outcome {
	out := Outcome{Overhead: time.Duration(w.r.IntN(50)-5) * time.Millisecond}
	done := len(u.Items)
	if w.r.IntN(4) == 0 {
		done = w.r.IntN(len(u.Items) + 1)
	}
	for i, j := range w.r.Perm(len(u.Items)) {
		if i < done {
			out.Done = append(out.Done, ItemTime{u.Items[j], time.Duration(w.r.ExpFloat64() * float64(30*time.Millisecond))})
		} else if w.r.IntN(3) == 0 {
			out.Doubt = append(out.Doubt, u.Items[j])
		} else {
			out.Requeue = append(out.Requeue, u.Items[j])
		}
	}
	return out
}

// end ends the unit of id with its outcome in the books.
func (w *walker) end(id NodeID, out *Outcome) {
	u := w.held[id]
	delete(w.held, id)
	if out == nil {
		w.move(u.Package, u.Items, heldPlace, pendingPlace)
		if len(u.Items) == 0 {
			w.moveRun(u.Package, heldPlace, pendingPlace)
		}
		return
	}
	for _, d := range out.Done {
		w.move(u.Package, []int{d.Item}, heldPlace, donePlace)
	}
	w.move(u.Package, out.Requeue, heldPlace, pendingPlace)
	w.move(u.Package, out.Doubt, heldPlace, pendingPlace)
	for _, i := range out.Doubt {
		if w.doubts[u.Package] == nil {
			w.doubts[u.Package] = map[int]bool{}
		}
		w.doubts[u.Package][i] = true
	}
	if len(u.Items) == 0 {
		w.moveRun(u.Package, heldPlace, donePlace)
	}
}

func (w *walker) finish(id NodeID) {
	out := w.outcome(w.held[id])
	w.note("finish %s: %d done, %v requeued, %v in doubt", id, len(out.Done), out.Requeue, out.Doubt)
	w.end(id, &out)
	w.Finish(id, out)
}

func (w *walker) removeNode(i int) {
	id := w.ids[i]
	w.ids = slices.Delete(w.ids, i, i+1)
	u, busy := w.held[id]
	var out *Outcome
	if busy && w.r.IntN(2) == 0 {
		o := w.outcome(u)
		out = &o
	}
	if busy {
		w.end(id, out)
	}
	w.note("remove %s, busy %v, outcome %v", id, busy, out)
	lost, ok := w.RemoveNode(id, out)
	if ok != busy || ok && lost.Package != u.Package {
		w.fail("removing %s lost %v, %v, it had %v, %v", id, lost, ok, u, busy)
	}
}

func (w *walker) drop(id PackageID) {
	items := w.Drop(id)
	w.note("drop %d: %v", id, items)
	w.withdraw(id, items)
}

func (w *walker) withdraw(id PackageID, items []int) {
	w.move(id, items, pendingPlace, withdrawnPlace)
	if slices.Contains(w.items[id], pendingPlace) {
		w.fail("drop of package %d left items pending", id)
	}
	if at, ok := w.runs[id]; ok && at == pendingPlace {
		w.runs[id] = withdrawnPlace
	}
}

func (w *walker) revoke() {
	w.note("revoke")
	for _, g := range w.Revoke() {
		w.withdraw(g.Package, g.Items)
	}
	if w.Pending() != 0 {
		w.fail("%d items pending after revoke", w.Pending())
	}
}

// step does one random thing.
func (w *walker) step() {
	known := len(w.items)
	switch x := w.r.IntN(100); {
	case x < 6 && w.packs > 0:
		w.addPackage()
	case x < 10 && len(w.ids) < 8:
		w.addNode()
	case x < 13 && len(w.ids) > 0:
		w.removeNode(w.r.IntN(len(w.ids)))
	case x < 14 && known > 0:
		id := PackageID(w.packs + 1 + w.r.IntN(known))
		w.note("serialize %d", id)
		w.Serialize(id)
		w.single[id] = true
	case x < 15 && known > 0 && w.r.IntN(4) == 0:
		w.drop(PackageID(w.packs + 1 + w.r.IntN(known)))
	case x < 16 && w.r.IntN(40) == 0:
		w.revoke()
	case len(w.ids) > 0:
		id := w.ids[w.r.IntN(len(w.ids))]
		if _, busy := w.held[id]; busy {
			w.finish(id)
		} else {
			w.ask(id)
		}
	}
}

// audit compares the books with the Policy's.
func (w *walker) audit() {
	if err := w.inconsistent(); err != "" {
		w.fail("inconsistent: %s", err)
	}
	pending, running := 0, 0
	for id, items := range w.items {
		k := w.pkg(id)
		var got, want []int
		for i, at := range items {
			switch at {
			case pendingPlace:
				want = append(want, i)
			case heldPlace:
				running++
			}
		}
		pending += len(want)
		for i, at := range k.state {
			if at == waiting {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, want) {
			w.fail("package %d has %v pending, want %v", id, got, want)
		}
		if at, ok := w.runs[id]; k.runOwed != (ok && at == pendingPlace) {
			w.fail("package %d owes a run: %v, place %d, %v", id, k.runOwed, at, ok)
		}
	}
	if w.Pending() != pending || w.Running() != running {
		w.fail("%d pending and %d running, want %d and %d", w.Pending(), w.Running(), pending, running)
	}
	w.mustNotStall()
}

// mustNotStall checks the promise of Next: when nothing is in flight and something is pending, some node gets a unit.
func (w *walker) mustNotStall() {
	if len(w.held) > 0 || len(w.ids) == 0 || w.Idle() || w.r.IntN(4) > 0 {
		return
	}
	for _, i := range w.r.Perm(len(w.ids)) {
		if w.ask(w.ids[i]) {
			return
		}
	}
	w.fail("nothing is in flight, %d items are pending, and no node gets anything", w.Pending())
}

// runOut lets the run come to its end.
func (w *walker) runOut() {
	for w.packs > 0 {
		w.addPackage()
	}
	if len(w.ids) == 0 {
		w.addNode()
	}
	for range 100000 {
		if w.Done() {
			return
		}
		for _, id := range w.ids {
			if _, busy := w.held[id]; busy {
				w.finish(id)
			} else {
				w.ask(id)
			}
		}
		w.audit()
	}
	w.fail("the run does not end: %d pending, %d running", w.Pending(), w.Running())
}

// TestRandomWalk keeps the invariant after each of many random steps, and comes to an end each time.
func TestRandomWalk(t *testing.T) {
	const walks, steps = 1000, 220
	for seed := range uint64(walks) {
		w := newWalker(t, seed)
		for range steps {
			w.step()
			w.audit()
		}
		w.runOut()
		for id, items := range w.items {
			if slices.Contains(items, pendingPlace) || slices.Contains(items, heldPlace) {
				w.fail("seed %d: package %d has items without an end: %v", seed, id, items)
			}
			if !w.Complete(id) {
				w.fail("seed %d: package %d is not complete", seed, id)
			}
		}
	}
	t.Logf("%d steps", walks*steps)
}

// TestDeterminism walks the same way twice.
func TestDeterminism(t *testing.T) {
	for seed := range uint64(50) {
		var logs [2][]string
		for i := range logs {
			w := newWalker(t, seed)
			for range 300 {
				w.step()
			}
			logs[i] = w.log
		}
		if diff := cmp.Diff(logs[0], logs[1]); diff != "" {
			t.Fatalf("seed %d: two walks differ: %s", seed, diff)
		}
	}
}

// BenchmarkRun runs 200,000 items on 1,000 nodes, in packages of different sizes.
func BenchmarkRun(b *testing.B) {
	for _, bb := range []struct{ packages, items int }{{1, 200000}, {400, 500}, {100000, 2}} {
		b.Run(fmt.Sprintf("%dx%d", bb.packages, bb.items), func(b *testing.B) {
			list := items(bb.items)
			for b.Loop() {
				runAll(b, bb.packages, list)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*bb.packages*bb.items), "µs/item")
		})
	}
}

func runAll(b *testing.B, packages int, list []Item) {
	p := New(Config{})
	for i := range 1000 {
		p.AddNode(NodeID(strconv.Itoa(i)), Node{Host: strconv.Itoa(i / 4)})
	}
	for i := range packages {
		p.AddPackage(Package{ID: PackageID(i), Items: list})
	}
	p.NoMore()
	held := make([]Unit, 1000)
	for !p.Done() {
		for i := range held {
			id := NodeID(strconv.Itoa(i))
			if held[i].Items != nil {
				p.Finish(id, passed(held[i].Items, time.Millisecond))
			}
			held[i], _ = p.Next(id)
		}
	}
	if p.Pending()+p.Running() > 0 {
		b.Fatal("items left")
	}
}

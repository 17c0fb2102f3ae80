package policy

import (
	"fmt"
	"math"
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
	dormantPlace
)

// walker plays a caller that does everything a caller may do, in random order, and keeps its own
// books.
type walker struct {
	testing.TB
	*Policy
	r        *rand.Rand
	mode     Mode
	packed   map[PackageID]Package
	items    map[PackageID][]place
	runs     map[PackageID]place // of packages without items
	single   map[PackageID]bool  // at most one unit may start
	whole    map[PackageID]bool
	doubts   map[PackageID]map[int]bool // items that wait for all else of their package
	retries  map[PackageID]map[int]int  // items that wait for all else of their package to be given out, and the batch that they are of
	batches  int                        // of those, so far
	released map[PackageID]int          // the last of those whose time has come
	held     map[NodeID]Unit
	weights  map[NodeID]int  // that they occupy
	lonely   map[NodeID]bool // whether what they got may have nothing beside it
	isolated map[PackageID]bool
	secludes map[PackageID]bool // what is in doubt will be isolated
	bound    map[string]NodeID  // where groups are
	at       map[NodeID]Node
	ids      []NodeID
	next     int               // names of nodes
	packs    int               // packages to come
	shipped  bool              // binaries have a size, and must be sent to the stores of some hosts
	refused  map[NodeID]uint64 // the stamp, of those for whom there was nothing
	log      []string
	touched  PackageID
}

func newWalker(t testing.TB, seed uint64) *walker {
	r := rand.New(rand.NewPCG(seed, 3))
	mode := Mode(r.IntN(3))
	return &walker{
		TB: t, r: r, mode: mode, packs: 1 + r.IntN(12), shipped: r.IntN(2) == 0,
		Policy: New(Config{Mode: mode, MaxBytes: 1 + r.IntN(200)}),
		packed: map[PackageID]Package{}, items: map[PackageID][]place{}, runs: map[PackageID]place{}, single: map[PackageID]bool{},
		whole: map[PackageID]bool{}, doubts: map[PackageID]map[int]bool{}, retries: map[PackageID]map[int]int{}, released: map[PackageID]int{}, held: map[NodeID]Unit{}, weights: map[NodeID]int{}, lonely: map[NodeID]bool{}, isolated: map[PackageID]bool{}, secludes: map[PackageID]bool{},
		bound: map[string]NodeID{}, at: map[NodeID]Node{}, refused: map[NodeID]uint64{},
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
	in := Package{ID: id, Spread: []Spread{Divisible, Divisible, Divisible, Divisible, Divisible, Serial, Whole, Alone}[w.r.IntN(8)]}
	merged := in.Spread > Divisible || w.mode == LoadScope
	if w.r.IntN(2) == 0 {
		group := []string{"", "", "a", "b", "c"}[w.r.IntN(5)]
		for range 1 + w.r.IntN(4) {
			in.Families = append(in.Families, w.demand(group, merged))
		}
	}
	if w.r.IntN(5) > 0 {
		in.Items = items(w.r.IntN(40))
		in.ProcessCost = time.Duration(w.r.IntN(3)) * 10 * time.Millisecond
	}
	if w.shipped {
		in.Size = int64(w.r.IntN(3)) << (10 + w.r.IntN(15))
	}
	places := make([]place, len(in.Items))
	known := w.r.IntN(4)
	for i := range in.Items {
		it := &in.Items[i]
		it.Family = w.r.IntN(max(1, len(in.Families)))
		if w.r.IntN(3) < known {
			it.Cost = time.Duration(1 + w.r.ExpFloat64()*float64(50*time.Millisecond))
		}
		if it.Dormant = w.r.IntN(20) == 0; it.Dormant {
			places[i] = dormantPlace
		}
	}
	w.AddPackage(in)
	w.packed[id], w.items[id] = in, places
	if len(in.Items) == 0 {
		w.runs[id] = pendingPlace
	}
	w.whole[id] = in.Spread >= Whole || w.mode == LoadScope
	w.single[id] = w.whole[id] || in.Spread == Serial
	w.Expect(w.r.IntN(100), w.packs, time.Duration(w.r.IntN(2))*time.Second)
	if w.packs == 0 {
		w.NoMore()
	}
	w.touched = id
	w.note("package %d with %d items, spread %d, families %+v", id, len(in.Items), in.Spread, in.Families)
}

// demand invents a demand. A package that has one family names one group at most: it would make two
// groups one.
func (w *walker) demand(group string, merged bool) Demand {
	var d Demand
	if merged || w.r.IntN(3) == 0 {
		d.Group = group
	}
	d.Exclusive = w.r.IntN(8) == 0
	if w.r.IntN(5) == 0 {
		d.Requires = []string{[]string{"gpu", "big", "none"}[min(2, w.r.IntN(9)/4)]}
	}
	if w.r.IntN(5) == 0 {
		d.Weight = w.r.IntN(5)
	}
	for _, name := range []string{"db", "port"} {
		if w.r.IntN(6) == 0 {
			d.Resources = append(d.Resources, Resource{name, w.r.IntN(4), 2})
		}
	}
	return d
}

func (w *walker) addNode() {
	id := NodeID("gw" + strconv.Itoa(w.next))
	w.next++
	n := Node{Host: "h" + strconv.Itoa(w.r.IntN(3)), Speed: float64(w.r.IntN(4))}
	if w.shipped && n.Host != "h0" {
		n.Store = n.Host
	}
	for _, label := range []string{"gpu", "big"} {
		if w.r.IntN(2) == 0 {
			n.Labels = append(n.Labels, label)
		}
	}
	w.at[id] = n
	w.AddNode(id, n)
	w.ids = append(w.ids, id)
	w.note("node %s is %+v", id, n)
}

// ask asks for one idle node.
func (w *walker) ask(id NodeID) bool {
	stamp := w.Stamp()
	waited := w.Waiting()
	u, ok := w.Next(id)
	if ok && !waited {
		w.fail("node %s gets %v, and nothing was waiting", id, u)
	}
	w.note("next %s: %v %v", id, u, ok)
	if !ok {
		w.refused[id] = w.Stamp()
		return false
	}
	if stamp != 0 && stamp == w.refused[id] {
		w.fail("node %s gets %v, and had got nothing at the same stamp", id, u)
	}
	delete(w.refused, id)
	if w.single[u.Package] {
		for other, v := range w.held {
			if v.Package == u.Package {
				w.fail("package %d, one unit at a time, starts on %s while on %s", u.Package, id, other)
			}
		}
	}
	if w.whole[u.Package] && w.doubts[u.Package] == nil && w.retries[u.Package] == nil && !slices.Contains(w.items[u.Package], donePlace) && !slices.Contains(w.items[u.Package], withdrawnPlace) && !slices.ContainsFunc(w.packed[u.Package].Items, func(it Item) bool { return it.Dormant }) && !u.Whole {
		w.fail("package %d is to be whole, and %v is not", u.Package, u.Items)
	}
	if u.Whole != (len(u.Items) == len(w.items[u.Package])) || !slices.IsSorted(u.Items) {
		w.fail("unit %v of a package with %d items", u, len(w.items[u.Package]))
	}
	w.touched = u.Package
	w.settleRetries(u)
	w.settleDoubts(u)
	w.meets(id, u)
	w.move(u.Package, u.Items, pendingPlace, heldPlace)
	if len(u.Items) == 0 {
		w.moveRun(u.Package, pendingPlace, heldPlace)
	}
	w.held[id] = u
	w.release(u.Package)
	return true
}

// settleRetries checks that items to retry come when nothing else of their package is pending, and
// not mixed with others.
func (w *walker) settleRetries(u Unit) {
	retries := w.retries[u.Package]
	if !slices.ContainsFunc(u.Items, func(i int) bool { return retries[i] > 0 }) {
		return
	}
	for _, i := range u.Items {
		if batch := retries[i]; batch != retries[u.Items[0]] || batch > w.released[u.Package] {
			w.fail("unit %v of package %d has items to retry before their time, or of several units: %v, released up to %d", u, u.Package, retries, w.released[u.Package])
		}
	}
	for _, i := range u.Items {
		delete(retries, i)
	}
}

// settleDoubts checks that items in doubt come when nothing else of their package is left.
func (w *walker) settleDoubts(u Unit) {
	doubts := w.doubts[u.Package]
	if !slices.ContainsFunc(u.Items, func(i int) bool { return doubts[i] }) {
		return
	}
	if i := w.elseLeft(u.Package); i >= 0 {
		w.fail("unit %v of package %d has items in doubt while item %d is in place %d", u, u.Package, i, w.items[u.Package][i])
	}
	w.noLongerInDoubt(u.Package)
}

// noLongerInDoubt notes that what was in doubt is the next of its package.
func (w *walker) noLongerInDoubt(id PackageID) {
	clear(w.doubts[id])
	w.single[id] = true
	w.isolated[id] = w.isolated[id] || w.secludes[id]
}

// release notes that what is to be tried again may be: nothing of its package is pending but that
// and what is in doubt.
func (w *walker) release(id PackageID) {
	for i, at := range w.items[id] {
		if batch := w.retries[id][i]; at == pendingPlace && !w.doubts[id][i] && (batch == 0 || batch <= w.released[id]) {
			return
		}
	}
	w.released[id] = w.batches
}

// inDoubt reports whether an item of the package is pending and in doubt.
func (w *walker) inDoubt(id PackageID) bool {
	for i := range w.doubts[id] {
		if w.items[id][i] == pendingPlace {
			return true
		}
	}
	return false
}

// elseLeft is an item of the package that is pending or runs, and is not in doubt, or -1.
func (w *walker) elseLeft(id PackageID) int {
	for i, at := range w.items[id] {
		if !w.doubts[id][i] && (at == heldPlace || at == pendingPlace) {
			return i
		}
	}
	return -1
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
		} else if x := w.r.IntN(6); x < 2 {
			out.Park = append(out.Park, u.Items[j])
		} else if x == 2 {
			out.Retry = append(out.Retry, u.Items[j])
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
	w.touched = u.Package
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
	w.move(u.Package, out.Retry, heldPlace, pendingPlace)
	w.batches++
	for _, i := range out.Retry {
		if w.retries[u.Package] == nil {
			w.retries[u.Package] = map[int]int{}
		}
		w.retries[u.Package][i] = w.batches
	}
	w.move(u.Package, out.Park, heldPlace, pendingPlace)
	for _, i := range out.Park {
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
	w.note("finish %s: %d done, %v requeued, %v to retry, %v in doubt", id, len(out.Done), out.Requeue, out.Retry, out.Park)
	w.end(id, &out)
	w.Finish(id, out)
	w.release(w.touched)
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
	delete(w.at, id)
	for g, n := range w.bound {
		if n == id {
			delete(w.bound, g)
		}
	}
	if ok != busy || ok && lost.Package != u.Package {
		w.fail("removing %s lost %v, %v, it had %v, %v", id, lost, ok, u, busy)
	}
}

func (w *walker) drop(id PackageID) {
	items := w.Drop(id)
	w.note("drop %d: %v", id, items)
	w.withdraw(id, items)
}

// withdrawSome withdraws some items, whatever place they are in.
func (w *walker) withdrawSome(id PackageID) {
	var ask, want []int
	for i, at := range w.items[id] {
		if w.r.IntN(4) == 0 {
			ask = append(ask, i)
			if at == pendingPlace {
				want = append(want, i)
			}
		}
	}
	got := w.Withdraw(id, ask)
	w.note("withdraw %v of %d: %v", ask, id, got)
	if !slices.Equal(got, want) {
		w.fail("withdraw of %v returns %v, want %v", ask, got, want)
	}
	w.move(id, got, pendingPlace, withdrawnPlace)
}

// wake wakes one dormant item, if there is one.
func (w *walker) wake(id PackageID) {
	if i := slices.Index(w.items[id], dormantPlace); i >= 0 {
		w.note("wake %d of %d", i, id)
		if w.inDoubt(id) && w.elseLeft(id) < 0 { // they are not in doubt any more, but the next of their package
			w.noLongerInDoubt(id)
		}
		w.Wake(id, i)
		w.items[id][i] = pendingPlace
	}
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
	defer func() { w.release(w.touched) }()
	switch x := w.r.IntN(100); {
	case x < 6 && w.packs > 0:
		w.addPackage()
	case x < 10 && len(w.ids) < 8:
		w.addNode()
	case x < 13 && len(w.ids) > 0:
		w.removeNode(w.r.IntN(len(w.ids)))
	case x < 15 && len(w.items) > 0:
		w.interfere(PackageID(w.packs + 1 + w.r.IntN(len(w.items))))
	case x < 16 && w.r.IntN(100) == 0:
		w.revoke()
	case x < 19 && w.shipped:
		w.ship()
	case len(w.ids) > 0:
		id := w.ids[w.r.IntN(len(w.ids))]
		if _, busy := w.held[id]; busy {
			w.finish(id)
		} else {
			w.ask(id)
		}
	}
}

// ship tells of a link, or of a binary that is in a store, whether or not somebody is there.
func (w *walker) ship() {
	store := "h" + strconv.Itoa(1+w.r.IntN(2))
	if len(w.items) == 0 || w.r.IntN(2) == 0 {
		link := float64(w.r.IntN(3)) * math.Pow(10, float64(w.r.IntN(8)))
		w.note("link to %s is %g", store, link)
		w.SetLink(store, link)
		return
	}
	id := PackageID(w.packs + 1 + w.r.IntN(len(w.items)))
	w.note("%s holds %d", store, id)
	w.Hold(store, id)
}

// interfere does what a caller does with one package.
func (w *walker) interfere(id PackageID) {
	w.touched = id
	switch w.r.IntN(9) {
	case 8:
		last := w.r.IntN(2) == 0
		w.secludes[id] = true
		if !last || w.single[id] || w.inDoubt(id) && w.elseLeft(id) < 0 {
			w.isolated[id], w.single[id] = true, true
		}
		w.note("isolate %d, last: %t", id, last)
		w.Isolate(id, last)
	case 0:
		w.note("serialize %d", id)
		w.Serialize(id)
		w.single[id] = true
	case 1:
		if w.r.IntN(3) == 0 {
			w.drop(id)
		}
	case 2, 3:
		w.withdrawSome(id)
	default:
		w.wake(id)
	}
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
		if len(w.held) == 0 && !w.servableLeft() {
			for _, out := range w.Unservable() {
				w.drop(out.Package)
			}
		}
		w.audit()
	}
	w.fail("the run does not end: %d pending, %d running", w.Pending(), w.Running())
}

// TestRandomWalk keeps the invariant through a million random steps, and comes to an end each time.
// The package of a step and the sums are looked at after each step, everything after each
// thirtieth.
func TestRandomWalk(t *testing.T) {
	const steps = 250
	walks := 4000
	if testing.Short() || raceEnabled {
		walks = 200
		t.Logf("%d steps instead of a million: -short, or the race detector is on", walks*steps)
	}
	for seed := range uint64(walks) {
		w := newWalker(t, seed)
		for i := range steps {
			w.step()
			w.glance()
			if i%30 == 0 {
				w.audit()
			}
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

package policy

import (
	"slices"
)

// glance is the part of audit that concerns the package of the last step, and the sums.
func (w *walker) glance() {
	k := w.packages[w.touched]
	if k == nil {
		return
	}
	var held []int
	for _, u := range w.held {
		if u.Package == w.touched {
			held = append(held, u.Items...)
		}
	}
	if err := w.misfiled(k, held); err != "" {
		w.fail("package %d %s", w.touched, err)
	}
	for i, at := range w.items[w.touched] {
		if want := map[place]state{pendingPlace: waiting, heldPlace: flying, dormantPlace: dormant, donePlace: gone, withdrawnPlace: gone}[at]; k.state[i] != want {
			w.fail("item %d of package %d is in state %d, want %d", i, w.touched, k.state[i], want)
		}
	}
	pending := 0
	for _, k := range w.packages {
		pending += k.pending
	}
	if pending != w.Pending() {
		w.fail("%d pending, want %d", w.Pending(), pending)
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
		if at, ok := w.runs[id]; k.run.pending != (ok && at == pendingPlace) {
			w.fail("package %d owes a run: %v, place %d, %v", id, k.run.pending, at, ok)
		}
	}
	if w.Pending() != pending || w.Running() != running {
		w.fail("%d pending and %d running, want %d and %d", w.Pending(), w.Running(), pending, running)
	}
	w.mustNotStall()
}

// mustNotStall checks the promise of Next: when nothing is in flight and something is pending, some
// node gets a unit.
func (w *walker) mustNotStall() {
	if len(w.held) > 0 || len(w.ids) == 0 || w.r.IntN(4) > 0 || !w.servableLeft() {
		return
	}
	for _, i := range w.r.Perm(len(w.ids)) {
		if w.ask(w.ids[i]) {
			return
		}
	}
	w.fail("nothing is in flight, %d items are pending, and no node gets anything", w.Pending())
}

// servableLeft reports whether something is pending that some node could run.
func (w *walker) servableLeft() bool {
	pending, owed := w.Pending(), 0
	for _, at := range w.runs {
		if at == pendingPlace {
			owed++
		}
	}
	for _, out := range w.Unservable() {
		pending -= len(out.Items)
		if len(out.Items) == 0 {
			owed--
		}
		w.requires(out)
		for i, at := range w.items[out.Package] { // what was put aside waits for what is unservable of its own package
			if aside := w.doubts[out.Package][i] || w.retries[out.Package][i] > w.released[out.Package]; aside && at == pendingPlace && !slices.Contains(out.Items, i) {
				pending--
			}
		}
	}
	return pending+owed > 0
}

// requires checks that what cannot be served demands a label, which is the only reason.
func (w *walker) requires(out Withdrawn) {
	for _, i := range out.Items {
		in := w.packed[out.Package]
		if w.items[out.Package][i] != pendingPlace || len(in.Families) == 0 {
			w.fail("item %d of package %d is unservable: place %d, families %v", i, out.Package, w.items[out.Package][i], in.Families)
		}
	}
}

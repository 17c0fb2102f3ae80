package shard

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// enough is how much longer than the shortest possible the longest part may be: packages are split
// further only while it is longer.
const enough = 1.02

// chunk is some atoms of one package that go to a part together.
type chunk struct {
	atoms []*atom
	cost  time.Duration
}

// byTime gives each part about as much time, and splits packages no further than that takes: into
// pieces of the even share, then of half of it, and so on.
func (d *division) byTime() {
	var total, longest time.Duration
	for _, a := range d.atoms {
		total += a.cost
		longest = max(longest, a.cost)
	}
	bound := max(total/time.Duration(d.n), longest)
	best := time.Duration(math.MaxInt64)
	for size := max(1, total/time.Duration(d.n)); ; size /= 2 {
		chunks := d.chunks(size)
		parts, span := pack(chunks, d.n)
		if span < best {
			best = span
			for i, c := range chunks {
				for _, a := range c.atoms {
					a.part = parts[i]
				}
			}
		}
		if float64(best) <= enough*float64(bound) || len(chunks) == len(d.atoms) {
			return
		}
	}
}

// chunks makes of each package as few pieces as are not longer than size, as far as its atoms
// allow. Longest first.
func (d *division) chunks(size time.Duration) []chunk {
	byPackage := make([][]*atom, len(d.packages))
	for _, a := range d.atoms {
		byPackage[a.pkg] = append(byPackage[a.pkg], a)
	}
	var out []chunk
	for _, atoms := range byPackage {
		var total time.Duration
		for _, a := range atoms {
			total += a.cost
		}
		count := min(len(atoms), int((total+size-1)/size))
		singles := make([]chunk, len(atoms))
		for i, a := range atoms {
			singles[i] = chunk{[]*atom{a}, a.cost}
		}
		sortChunks(singles)
		pieces := make([]chunk, max(count, min(1, len(atoms))))
		parts, _ := pack(singles, len(pieces))
		for i, c := range singles {
			to := &pieces[parts[i]]
			to.atoms = append(to.atoms, c.atoms...)
			to.cost += c.cost
		}
		out = append(out, slices.DeleteFunc(pieces, func(c chunk) bool { return len(c.atoms) == 0 })...)
	}
	sortChunks(out)
	return out
}

// sortChunks puts the longest first. Which of equals comes first depends on their names alone.
func sortChunks(chunks []chunk) {
	slices.SortFunc(chunks, func(a, b chunk) int {
		return cmp.Or(cmp.Compare(b.cost, a.cost), cmp.Compare(a.atoms[0].key, b.atoms[0].key))
	})
}

// pack gives each chunk in turn to the part that has least, and returns the parts and how long the
// longest is.
func pack(chunks []chunk, n int) (parts []int, span time.Duration) {
	parts = make([]int, len(chunks))
	h := newHeap(n)
	for i, c := range chunks {
		parts[i] = h.least()
		span = max(span, h.add(c.cost))
	}
	return parts, span
}

// heap orders parts by what they have, and those that have the same by their numbers.
type heap struct {
	parts []int
	load  []time.Duration // by part
}

func newHeap(n int) *heap {
	h := &heap{parts: make([]int, n), load: make([]time.Duration, n)}
	for i := range h.parts {
		h.parts[i] = i
	}
	return h
}

func (h *heap) least() int { return h.parts[0] }

// add gives cost to the part that has least, and returns what that has now.
func (h *heap) add(cost time.Duration) time.Duration {
	top := h.parts[0]
	h.load[top] += cost
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h.parts) {
			break
		}
		if right := child + 1; right < len(h.parts) && h.less(right, child) {
			child = right
		}
		if !h.less(child, i) {
			break
		}
		h.parts[i], h.parts[child] = h.parts[child], h.parts[i]
		i = child
	}
	return h.load[top]
}

func (h *heap) less(i, j int) bool {
	a, b := h.parts[i], h.parts[j]
	return cmp.Or(cmp.Compare(h.load[a], h.load[b]), cmp.Compare(a, b)) < 0
}

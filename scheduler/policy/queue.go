package policy

import "container/heap"

// The queues of a shelf.
const (
	again        = iota // families with batches that came back, first come first served
	firm                // families that only one node at a time can work at, most work first
	longestFirst        // all others, longest item first
	mostWork            // the same again, most work first
	queues              // how many there are
)

// shelf has the families of one class that may start: for all nodes, or those of groups that are
// bound to one node.
type shelf struct {
	*class
	queues [queues]queue
}

func (sh *shelf) top(kind int) *family {
	if q := sh.queues[kind].heap; len(q) > 0 {
		return q[0]
	}
	return nil
}

// queue holds families, the smallest rank first and in order of arrival among equals. A family is
// on one shelf at most.
type queue struct {
	kind int
	heap []*family
}

func (q *queue) Len() int { return len(q.heap) }
func (q *queue) Less(i, j int) bool {
	a, b := q.heap[i], q.heap[j]
	if a.rank[q.kind] != b.rank[q.kind] {
		return a.rank[q.kind] < b.rank[q.kind]
	}
	return a.seq < b.seq
}
func (q *queue) Swap(i, j int) {
	h := q.heap
	h[i], h[j] = h[j], h[i]
	h[i].at[q.kind], h[j].at[q.kind] = i+1, j+1
}
func (q *queue) Push(x any) {
	s := x.(*family)
	q.heap = append(q.heap, s)
	s.at[q.kind] = len(q.heap)
}
func (q *queue) Pop() any {
	s := q.heap[len(q.heap)-1]
	q.heap[len(q.heap)-1] = nil
	q.heap = q.heap[:len(q.heap)-1]
	s.at[q.kind] = 0
	return s
}

// move puts the family onto sh, or changes its rank there.
func (s *family) move(sh *shelf, kind int, rank int64) {
	if s.shelf != sh {
		s.leave()
		s.shelf = sh
	}
	q := &sh.queues[kind]
	q.kind = kind
	switch {
	case s.at[kind] == 0:
		s.rank[kind] = rank
		heap.Push(q, s)
	case s.rank[kind] != rank:
		s.rank[kind] = rank
		heap.Fix(q, s.at[kind]-1)
	}
}

// quit takes the family out of one queue.
func (s *family) quit(kind int) {
	if s.at[kind] > 0 {
		heap.Remove(&s.shelf.queues[kind], s.at[kind]-1)
	}
}

// leave takes the family off its shelf, if it is on one.
func (s *family) leave() {
	if s.shelf == nil {
		return
	}
	for kind := range s.at {
		s.quit(kind)
	}
	s.shelf = nil
}

package policy

import "container/heap"

// queue holds packages, the smallest rank first and in order of AddPackage among equals. A package is in one queue at most.
type queue struct{ heap pkgHeap }

func (q *queue) len() int { return len(q.heap) }

func (q *queue) top() *pkg {
	if len(q.heap) == 0 {
		return nil
	}
	return q.heap[0]
}

// put adds k with the given rank, or changes its rank; k leaves the queue that it was in.
func (q *queue) put(k *pkg, rank int64) {
	if k.in == q {
		if k.rank != rank {
			k.rank = rank
			heap.Fix(&q.heap, k.at)
		}
		return
	}
	k.leave()
	k.rank, k.in = rank, q
	heap.Push(&q.heap, k)
}

// leave takes k out of the queue that it is in, if any.
func (k *pkg) leave() {
	if k.in != nil {
		heap.Remove(&k.in.heap, k.at)
		k.in = nil
	}
}

type pkgHeap []*pkg

func (h pkgHeap) Len() int { return len(h) }
func (h pkgHeap) Less(i, j int) bool {
	if h[i].rank != h[j].rank {
		return h[i].rank < h[j].rank
	}
	return h[i].seq < h[j].seq
}
func (h pkgHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *pkgHeap) Push(x any) {
	k := x.(*pkg)
	k.at = len(*h)
	*h = append(*h, k)
}
func (h *pkgHeap) Pop() any {
	old := *h
	k := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return k
}

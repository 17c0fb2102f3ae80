package scheduler

import "sync"

// slots numbers the workers of each host from 0. A number is given again when the worker that had
// it has ended, the lowest first. Its methods may be called concurrently. The zero value has given
// none.
type slots struct {
	mu    sync.Mutex // guards taken
	taken map[slot]string
}

// slot is a number on a host; the host is a text that all of its gateways have in common.
type slot struct {
	host   string
	number int
}

// take returns the lowest free number on the host, which is the node's until release.
func (s *slots) take(host, node string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == nil {
		s.taken = make(map[slot]string)
	}
	for n := 0; ; n++ {
		if _, ok := s.taken[slot{host, n}]; !ok {
			s.taken[slot{host, n}] = node
			return n
		}
	}
}

// release gives back what the node has taken, if anything.
func (s *slots) release(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, holder := range s.taken {
		if holder == node {
			delete(s.taken, k)
		}
	}
}

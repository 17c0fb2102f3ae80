package rsync

import (
	"sync"
	"time"
)

// pace measures how quickly bytes leave, to all targets of a delivery together. The zero value is
// ready, and not slow. It may be used concurrently.
type pace struct {
	mu    sync.Mutex // guards the fields below
	bytes int
	spent time.Duration // in sending them
}

const (
	// slowRate is the rate of sending to one target, in bytes per second, below which it is worth
	// the time to make fewer of them: 40 Mbit/s. A receiver on a busy machine may take bytes at
	// little more than that.
	slowRate = 5_000_000
	// paceBytes is how many bytes the rate is taken of, at most. More are buffered on the way, so
	// that the first say nothing.
	paceBytes = 2 << 20
)

// sent counts bytes that were sent in a time.
func (p *pace) sent(bytes int, spent time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += bytes
	p.spent += spent
	for p.bytes > paceBytes {
		p.bytes /= 2
		p.spent /= 2
	}
}

// slow reports whether bytes leave slowly.
func (p *pace) slow() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.bytes) < p.spent.Seconds()*slowRate
}

package network

import "time"

const (
	firstPause = 250 * time.Millisecond
	// longestPause is also how long a host has to be up before the pauses are short again: one that
	// takes connections and drops them is not asked all the time.
	longestPause = 30 * time.Second
)

// backoff says how long to wait before a host is reached again. The zero value is for a host that
// was never lost.
type backoff struct{ last time.Duration }

// next is the pause after the host was up for a time, or could not be reached: 0.
func (b *backoff) next(upFor time.Duration) time.Duration {
	if upFor >= longestPause || b.last == 0 {
		b.last = firstPause
	} else {
		b.last = min(2*b.last, longestPause)
	}
	return b.last
}

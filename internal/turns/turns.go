// Package turns lets one at a time do something that is named by a key.
package turns

import (
	"context"
	"sync"
)

// Turns are those of all keys. The zero value is ready. Its methods may be called concurrently.
type Turns struct {
	mu    sync.Mutex // guards the map
	locks map[string]chan struct{}
}

// Take waits for a turn and tells whether somebody else had it meanwhile. pass ends it. The error
// is ctx's.
func (t *Turns) Take(ctx context.Context, key string) (waited bool, pass func(), err error) {
	t.mu.Lock()
	turnc := t.locks[key]
	if turnc == nil {
		if t.locks == nil {
			t.locks = make(map[string]chan struct{})
		}
		turnc = make(chan struct{}, 1) // never closed; whoever has put a value in has the turn
		t.locks[key] = turnc
	}
	t.mu.Unlock()
	pass = func() { <-turnc }
	select {
	case turnc <- struct{}{}:
		return false, pass, nil
	default:
	}
	select {
	case turnc <- struct{}{}:
		return true, pass, nil
	case <-ctx.Done():
		return true, nil, ctx.Err()
	}
}

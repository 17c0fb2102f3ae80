package rsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/internal/lockfile"
)

// Lock files are asked for again and again, because a wait in the system cannot be given up.
const (
	lockPauseFirst = 5 * time.Millisecond
	lockPauseMost  = 200 * time.Millisecond
	// lockGrace is what one who does not want to wait gives another who is just leaving: a sync has
	// ended for its controller before the receiver has given up the lock.
	lockGrace = 250 * time.Millisecond
)

// lock makes a file when it is missing and locks it until the lock is closed. wait is how long to
// wait for another who has it: 0 is as long as ctx lasts, negative is lockGrace. It fails with
// ErrBusy when that is over. On file systems without locks it does nothing.
func lock(ctx context.Context, name string, wait time.Duration) (*flock.Flock, error) {
	if wait < 0 {
		wait = lockGrace
	}
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, wait, ErrBusy)
		defer cancel()
	}
	l := lockfile.New(name)
	for pause := lockPauseFirst; ; pause = min(2*pause, lockPauseMost) {
		err := lockfile.Try(l)
		switch {
		case err == nil, errors.Is(err, errors.ErrUnsupported):
			return l, nil
		case !errors.Is(err, lockfile.ErrLocked):
			return nil, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
	}
}

// sleep waits, and returns ctx's cause when that ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

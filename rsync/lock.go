package rsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// errLocked says that another open file holds the lock.
var errLocked = errors.New("locked by another")

// Lock files are asked for again and again, because a wait in the system cannot be given up.
const (
	lockPauseFirst = 5 * time.Millisecond
	lockPauseMost  = 200 * time.Millisecond
	// lockGrace is what one who does not want to wait gives another who is just leaving: a sync has ended for its controller before the
	// receiver has given up the lock.
	lockGrace = 250 * time.Millisecond
)

// lock opens a file, makes it when it is missing, and locks it until it is closed. wait is how long to wait for another who has it: 0 is as long as ctx
// lasts, negative is lockGrace. It fails with ErrBusy when that is over. On file systems without locks it does nothing.
func lock(ctx context.Context, name string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if wait < 0 {
		wait = lockGrace
	}
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, wait, ErrBusy)
		defer cancel()
	}
	for pause := lockPauseFirst; ; pause = min(2*pause, lockPauseMost) {
		err := tryLock(f)
		switch {
		case err == nil, errors.Is(err, errors.ErrUnsupported):
			return f, nil
		case errors.Is(err, errLocked):
			err = sleep(ctx, pause)
		}
		if err != nil {
			f.Close()
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

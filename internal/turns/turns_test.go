package turns

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all Turns
		waited, pass, err := all.Take(t.Context(), "a")
		if waited || err != nil {
			t.Fatalf("the first: %t, %v", waited, err)
		}
		if waited, pass, err := all.Take(t.Context(), "b"); waited || err != nil {
			t.Errorf("another key: %t, %v", waited, err)
		} else {
			pass()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, err := all.Take(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v while another has the turn", err)
		}
		time.AfterFunc(time.Minute, pass)
		if waited, pass, err := all.Take(t.Context(), "a"); !waited || err != nil {
			t.Errorf("the next: %t, %v", waited, err)
		} else {
			pass()
		}
	})
}

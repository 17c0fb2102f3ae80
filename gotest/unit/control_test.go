package unit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// The clock of a Control, and its timers, stand still while it is held.
func TestControlClock(t *testing.T) {
	if !canHold {
		t.Skip("skipped: processes cannot be held here")
	}
	synctest.Test(t, func(t *testing.T) {
		var c Control
		start := c.now()
		var firedAfter time.Duration
		c.AfterFunc(time.Minute, func() { firedAfter = c.now().Sub(start) })
		stop := c.AfterFunc(time.Minute, func() { t.Error("a timer fired that was stopped") })
		time.Sleep(50 * time.Second) // virtual, as all that follow
		c.Hold()
		late, _ := c.after(time.Second)
		time.Sleep(time.Hour)
		c.Hold() // once more, which changes nothing
		synctest.Wait()
		if got := c.now().Sub(start); got != 50*time.Second || firedAfter != 0 {
			t.Errorf("the clock went on by %v, and the timer fired after %v", got-50*time.Second, firedAfter)
		}
		stop()
		c.GoOn()
		c.GoOn()
		<-late
		if got := c.now().Sub(start); got != 51*time.Second {
			t.Errorf("a timer of a second fired at %v, want 51 s", got)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if firedAfter != time.Minute {
			t.Errorf("a timer of a minute fired after %v", firedAfter)
		}
		if got := c.held(time.Now().Add(-30*time.Minute), time.Now()); got != 30*time.Minute-10*time.Second {
			t.Errorf("of the last half hour it was held for %v", got)
		}
	})
}

// A test has not taken the time for which its process was held.
func TestTimeIsWithoutHold(t *testing.T) {
	if !canHold {
		t.Skip("skipped: processes cannot be held here")
	}
	synctest.Test(t, func(t *testing.T) {
		var c Control
		c.Hold()
		time.Sleep(time.Hour) // virtual
		c.GoOn()
		time.Sleep(2 * time.Second)
		var got []float64
		s := newStream(Unit{Package: "p"}, false, func(events []test2json.Event) {
			for _, e := range events {
				if e.Elapsed != nil {
					got = append(got, *e.Elapsed)
				}
			}
		})
		s.control = &c
		s.take([]byte("\x16=== RUN   TestX\n\x16--- PASS: TestX (3605.00s)\n\x16=== RUN   TestY\n\x16--- PASS: TestY (1.00s)\n"))
		s.finish(nil)
		if len(got) != 2 || got[0] != 5 || got[1] != 1 {
			t.Errorf("the tests took %v seconds, want 5 and 1", got)
		}
	})
}

// Who waits for the time of a later attempt stops waiting when there will be none, and waits by the
// clock.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var c Control
		go func() { // ends with the pause
			time.Sleep(time.Second)
			c.Hold()
			time.Sleep(time.Minute)
			c.GoOn()
		}()
		want := 2 * time.Second
		if canHold {
			want += time.Minute
		}
		if c.Pause(t.Context(), 2*time.Second); time.Since(start) != want {
			t.Errorf("it took %v, want %v", time.Since(start), want)
		}
		synctest.Wait()
		start = time.Now()
		go func() { time.Sleep(time.Second); c.Quit() }()
		if c.Pause(t.Context(), time.Hour); time.Since(start) != time.Second {
			t.Errorf("it took %v after Quit", time.Since(start))
		}
	})
}

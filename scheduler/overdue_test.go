package scheduler

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// A worker that neither ends its process when -timeout is over nor says so is given up, whether it
// is silent or talks for ever. Its tests run elsewhere.
func TestOverdueProcess(t *testing.T) {
	for name, play := range map[string]func(*liar, *wire.Order){
		"silent": func(*liar, *wire.Order) {},
		"a begun": func(l *liar, o *wire.Order) {
			l.report(wire.Report{Events: []test2json.Event{told(o, "run", "TestPass_0")}})
		},
		"output": func(l *liar, o *wire.Order) {
			for l.report(wire.Report{Events: []test2json.Event{{Action: "output", Package: o.Package, Output: "x\n"}}}) {
				select {
				case <-l.quit:
				case <-time.After(time.Second):
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, map[string][]string{"a": {"TestPass_0"}})
				w.cfg.Command.Timeout = time.Minute
				w.limit = time.Hour
				w.liar = func(n *node) *liar {
					if n.id != "gw0" {
						return nil
					}
					return newLiar(func(l *liar) {
						if o := l.order(); o != nil {
							play(l, o)
						}
						l.rest()
					})
				}
				start := time.Now()
				s, r, err := w.run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				w.check(s, r)
				w.wantCounts(s, map[event.Verdict]int{event.Pass: 1})
				if reason := downOf(r, "gw0"); !strings.HasPrefix(reason, "its agent has not ended a process of a within 6m0s, and -timeout is 1m0s") {
					t.Errorf("the gateway ended with %q", reason)
				}
				if took := time.Since(start); took < 6*time.Minute || took > 7*time.Minute {
					t.Errorf("the run took %v", took)
				}
			})
		})
	}
}

// A process that has no limit has none of the controller's either.
func TestNoTimeoutIsNotOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, map[string][]string{"a": {"TestPass_0"}})
		w.cfg.Command.Timeout = 0
		w.limit = 48 * time.Hour
		held := make(chan struct{})
		w.holds["TestPass_0"] = held
		time.AfterFunc(24*time.Hour, func() { close(held) })
		s, r, err := w.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(s, r)
		w.wantCounts(s, map[event.Verdict]int{event.Pass: 1})
	})
}

package scheduler

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/test2json"
)

// A crowd is to blame for the failures of tests that ran while it was there, and not for those of
// tests that began later in the same process.
func TestCrowdThatHasEnded(t *testing.T) {
	const aMoment = time.Millisecond
	for _, tt := range []struct {
		name                  string
		dist                  Dist
		room                  int
		beginsAfter, endAfter time.Duration // the test, after the crowd has come, and the crowd
		want                  bool
	}{
		{"began before", DistLoad, 1, aMoment, time.Minute, true},
		{"it is still there", DistLoad, 1, time.Minute, time.Hour, true},
		{"began soon after", DistLoad, 1, time.Minute, time.Minute - aftermath/2, true},
		{"began later", DistLoad, 1, time.Minute, time.Second, false},
		{"there was room", DistLoad, 2, aMoment, time.Minute, false},
		{"how much room there is, nobody knows", DistLoad, 0, aMoment, time.Minute, false},
		{"packages are wanted whole", DistLoadScope, 1, aMoment, time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &controller{cfg: Config{Dist: tt.dist}, fleet: fleet{nodes: make(map[string]*node), busy: make(map[string]*crowd)}}
				enter := func(id string) *node {
					n := &node{id: id, info: gateway.Info{Hostname: "here", CPUs: tt.room}, job: &job{pkg: new(pkg), started: time.Now()}}
					c.nodes[id] = n
					c.enterHost(n)
					return n
				}
				its, other := enter("its"), enter("other")
				if tt.endAfter < tt.beginsAfter {
					time.Sleep(tt.endAfter)
					c.leaveHost(other)
				}
				time.Sleep(tt.beginsAfter - time.Since(its.job.started))
				it := new(itemRun)
				it.follow(test2json.Event{Action: test2json.ActionRun})
				time.Sleep(aMoment)
				it.follow(test2json.Event{Action: test2json.ActionFail})
				if tt.endAfter > tt.beginsAfter && tt.endAfter < time.Hour {
					time.Sleep(tt.endAfter - time.Since(its.job.started))
					c.leaveHost(other)
				}
				if got := its.job.host.since(it.from(its.job)); got != tt.want {
					t.Errorf("a crowd is to blame: %v, want %v", got, tt.want)
				}
				if unheard := (*itemRun)(nil); its.job.host.since(unheard.from(its.job)) != (tt.room == 1 && tt.dist == DistLoad) {
					t.Error("what nobody has heard of began with its process")
				}
			})
		})
	}
}

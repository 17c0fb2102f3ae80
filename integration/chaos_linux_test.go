package integration

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	chaosRounds = flag.Uint64("chaos.rounds", 7, "how many rounds TestChaos has")
	chaosSeed   = flag.Uint64("chaos.seed", 394, "the seed of TestChaos' first round; the next has the next") // seven short ones of all transports
)

// chaosKind is how a run reaches its agents, and who gets which signal.
type chaosKind struct {
	transport string // popen, ssh or listen
	victim    string // agent, test, build, controller or session (of sshd); connection for one that is frozen
	signal    unix.Signal
}

func (k chaosKind) String() string {
	if k.signal == 0 {
		return k.transport + " " + k.victim + " frozen"
	}
	return k.transport + " " + k.victim + " " + strings.TrimPrefix(unix.SignalName(k.signal), "SIG")
}

// frozenEvery is which seeds are those of rounds with a frozen connection.
const frozenEvery = 5

// chaosKinds are all the kinds of rounds without a frozen connection.
var chaosKinds = func() (all []chaosKind) {
	for _, transport := range []string{"popen", "ssh", "listen"} {
		victims := []string{"agent", "test", "build", "controller"}
		if transport == "ssh" {
			victims = append(victims, "session")
		}
		for _, victim := range victims {
			for _, signal := range []unix.Signal{unix.SIGKILL, unix.SIGSTOP, unix.SIGTERM, unix.SIGINT} {
				all = append(all, chaosKind{transport, victim, signal})
			}
		}
	}
	return all
}()

// chaosStride leads from one kind to the next. It has no divisor in common with their number, so
// that all come before one comes again, and any few are different in everything.
const chaosStride = 17

// chaosKindOf is what happens in the round of a seed.
func chaosKindOf(seed uint64) chaosKind {
	if seed%frozenEvery == 0 {
		return chaosKind{[]string{"ssh", "listen"}[seed/frozenEvery%2], "connection", 0}
	}
	n := seed - seed/frozenEvery
	return chaosKinds[(n-1)*chaosStride%uint64(len(chaosKinds))]
}

// chaosPlan is a round: all of it comes from the seed.
type chaosPlan struct {
	chaosKind
	seed    uint64
	rand    *rand.Rand
	dist    string
	most    int           // signals, or freezes
	slow    bool          // tests take longer, so that packages are split
	byClock bool          // strikes come at times, from the beginning, and not at events
	resume  time.Duration // from a stop or a freeze to its end; 0 is never
	freeze  string        // held: what is sent comes later; dropped: never; stopped: sshd's processes are
	cold    bool          // the build cache has not even the standard library
}

// chaosPlanOf makes the plan of a seed.
func chaosPlanOf(seed uint64) *chaosPlan {
	r := rand.New(rand.NewPCG(seed, 0xc4a05))
	p := &chaosPlan{chaosKind: chaosKindOf(seed), seed: seed, rand: r}
	p.dist = []string{"load", "loadscope"}[r.IntN(2)]
	p.slow = r.IntN(3) > 0 || p.victim == "connection"
	p.byClock = r.IntN(2) == 0 || !p.slow // a run of quick packages tells all at its end
	if p.victim == "connection" {
		p.byClock = r.IntN(4) == 0 // early, while gateways are opened
	}
	p.resume = p.drawResume()
	p.most = p.drawMost()
	p.cold = p.victim == "build" && r.IntN(32) == 0
	if p.victim == "connection" {
		p.freeze = []string{"held", "dropped", "stopped"}[r.IntN(map[string]int{"ssh": 3, "listen": 2}[p.transport])]
		if p.freeze == "dropped" {
			p.resume = 0
		}
	}
	return p
}

// drawResume says when what was stopped goes on: soon, about when a lease has run out, or never.
// Nothing but a signal would end a build that is stopped.
func (p *chaosPlan) drawResume() time.Duration {
	r := p.rand
	soon := 20*time.Millisecond + time.Duration(r.Int64N(int64(4*time.Second)))
	late := 14*time.Second + time.Duration(r.Int64N(int64(11*time.Second)))
	switch r.IntN(4) {
	case 0:
		if p.victim != "build" {
			return 0
		}
	case 1:
		if p.victim != "build" {
			return late
		}
	}
	return soon
}

// drawMost says how many strikes a round has. Each stop that is not resumed costs a lease.
func (p *chaosPlan) drawMost() int {
	limit := map[string]int{"agent": 8, "test": 3, "build": 2, "controller": 1, "session": 4, "connection": 1}[p.victim]
	stops := p.signal == unix.SIGSTOP
	switch {
	case stops && (p.resume == 0 || p.resume > 5*time.Second):
		limit = 1
	case p.victim == "agent" && p.transport == "popen" && !stops:
		limit = 100
	case p.victim == "controller" && (p.signal == unix.SIGTERM || p.signal == unix.SIGINT):
		limit = 2 // the second one ends it at once
	}
	return 1 + p.rand.IntN(limit)
}

func (p *chaosPlan) String() string {
	text := fmt.Sprintf("seed %d %s", p.seed, p.chaosKind)
	switch stops := p.signal == unix.SIGSTOP || p.signal == 0; {
	case stops && p.resume == 0:
		text += " for ever"
	case stops:
		text += fmt.Sprintf(" for %v", p.resume.Round(10*time.Millisecond))
	}
	if p.signal == 0 {
		text += " " + p.freeze
	}
	if p.cold {
		text += " cold"
	}
	return text
}

// TestChaos runs a module while agents, test processes, the build, the controller or the sessions
// of sshd get signals, or connections freeze, as the round's seed says. See chaosRound for what
// each round has to keep.
func TestChaos(t *testing.T) {
	tests := testsOf(t, fixture(t, "faults"))
	tally := chaosTally{kinds: make(map[chaosKind]*chaosCount)}
	t.Run("rounds", func(t *testing.T) {
		for i := range *chaosRounds {
			plan := chaosPlanOf(*chaosSeed + i)
			t.Run(plan.String(), func(t *testing.T) {
				t.Parallel()
				w, start := &chaosWorld{t: t, plan: plan}, time.Now()
				defer func() { tally.add(w, time.Since(start)) }()
				chaosRound(w, tests)
			})
		}
	})
	tally.print(t)
}

// chaosCount is what came of the rounds of a kind.
type chaosCount struct {
	rounds, skipped, bad int
	strikes, missed      int            // signals or freezes; rounds without one
	twice                int            // tests that the stream of events tells of more than once
	statuses             map[string]int // exit statuses of the runs that were struck
	longest              time.Duration
}

// chaosTally are the counts of all kinds.
type chaosTally struct {
	mu    sync.Mutex // guards what follows
	kinds map[chaosKind]*chaosCount
	seeds []uint64 // of bad rounds
}

func (c *chaosTally) add(w *chaosWorld, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.kinds[w.plan.chaosKind]
	if n == nil {
		n = &chaosCount{statuses: make(map[string]int)}
		c.kinds[w.plan.chaosKind] = n
	}
	n.rounds++
	n.strikes += w.strikes
	w.t.Logf("%s: %d strikes, %d told twice, status %s, %.0fs", w.plan.chaosKind, w.strikes, w.twice, w.status, took.Seconds())
	n.twice += w.twice
	n.longest = max(n.longest, took)
	switch {
	case w.t.Skipped():
		n.skipped++
		return
	case w.t.Failed():
		n.bad++
		c.seeds = append(c.seeds, w.plan.seed)
	}
	if w.strikes == 0 {
		n.missed++
	}
	n.statuses[w.status]++
}

// print prints the table of all kinds, and fails where the rounds of one have struck nobody.
func (c *chaosTally) print(t *testing.T) {
	t.Helper()
	kinds := slices.SortedFunc(maps.Keys(c.kinds), func(a, b chaosKind) int { return cmp.Compare(a.String(), b.String()) })
	var sum chaosCount
	frozen := 0
	for _, kind := range kinds {
		n := c.kinds[kind]
		var statuses []string
		for _, s := range slices.Sorted(maps.Keys(n.statuses)) {
			statuses = append(statuses, fmt.Sprintf("%d× %s", n.statuses[s], s))
		}
		t.Logf("%-24s %3d rounds %4d strikes %2d missed %3d told twice %2d skipped %2d bad, longest %3.0fs, status %s",
			kind, n.rounds, n.strikes, n.missed, n.twice, n.skipped, n.bad, n.longest.Seconds(), strings.Join(statuses, ", "))
		if n.missed > 0 && n.strikes == 0 {
			t.Errorf("%s: nobody was struck: the test does not test what it says", kind)
		}
		sum.rounds, sum.strikes, sum.skipped, sum.bad = sum.rounds+n.rounds, sum.strikes+n.strikes, sum.skipped+n.skipped, sum.bad+n.bad
		if kind.victim == "connection" {
			frozen += n.rounds
		}
	}
	t.Logf("%d rounds, %d of them with a frozen connection, %d strikes, %d skipped, %d bad; bad seeds %v", sum.rounds, frozen, sum.strikes, sum.skipped, sum.bad, c.seeds)
}

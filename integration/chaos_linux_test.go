package integration

import (
	"flag"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	chaosRounds = flag.Int("chaos.rounds", 5, "how many rounds TestChaos runs")
	chaosSeed   = flag.Uint64("chaos.seed", 1, "the seed of TestChaos' first round; the next has the next")
)

// chaosKind is who gets which signal in a round.
type chaosKind struct {
	victim string // agent or controller
	signal unix.Signal
}

func (k chaosKind) String() string { return k.victim + " " + unix.SignalName(k.signal) }

// chaosKinds are taken in turn by the seed, so that a seed alone repeats its round.
var chaosKinds = []chaosKind{
	{"agent", unix.SIGKILL},
	{"agent", unix.SIGTERM}, {"controller", unix.SIGTERM},
	{"agent", unix.SIGINT}, {"controller", unix.SIGINT},
}

// chaosLimits is how many signals a round sends to a role.
var chaosLimits = map[string]int{"agent": 100, "controller": 1}

// TestChaos sends seeded signals to the agents and the controller of runs with popen. A run whose
// controller lives gives each test one verdict. No run leaves a process or a file. Killed test
// processes have no such promise: one that ends before its tests leaves them not run.
func TestChaos(t *testing.T) {
	tests := testsOf(t, fixture(t, "faults"))
	rounds, bad, struck := map[chaosKind]int{}, map[chaosKind]int{}, map[chaosKind]int{}
	for i := range uint64(*chaosRounds) {
		seed := *chaosSeed + i
		kind := chaosKinds[seed%uint64(len(chaosKinds))]
		ok := t.Run(fmt.Sprintf("seed %d %s", seed, kind), func(t *testing.T) {
			struck[kind] += chaosRound(t, seed, kind, tests)
		})
		rounds[kind]++
		if !ok {
			bad[kind]++
		}
	}
	for _, kind := range chaosKinds {
		t.Logf("%-20s %4d rounds %5d signals %4d bad", kind, rounds[kind], struck[kind], bad[kind])
		if rounds[kind] > 0 && struck[kind] == 0 {
			t.Errorf("%s: no signal was sent: the test does not test what it says", kind)
		}
	}
}

// chaosRound runs the module once under a kind's signals and returns how many were sent.
func chaosRound(t *testing.T, seed uint64, kind chaosKind, tests []string) int {
	r := newFaultyRun(t, seed, []string{"load", "loadscope"}[seed%2])
	r.strike = func(t *testing.T) {
		victims := r.victims(t, kind.victim)
		if len(victims) == 0 || r.kills == chaosLimits[kind.victim] {
			return
		}
		if err := unix.Kill(victims[r.rand.IntN(len(victims))], kind.signal); err == nil {
			r.kills++
		}
	}
	r.run(t)
	switch {
	case kind.victim != "controller":
		r.checkVerdicts(t, tests)
	case r.kills > 0 && r.cmd.ProcessState.ExitCode() != 130:
		t.Errorf("exit status %d, want 130", r.cmd.ProcessState.ExitCode())
	}
	r.checkLeftovers(t)
	if t.Failed() {
		t.Logf("status %d; xdist said: %s", r.cmd.ProcessState.ExitCode(), tail(r.errs.String()))
	}
	return r.kills
}

// victims are the processes of the run that play a role, in order.
func (r *faultyRun) victims(t *testing.T, role string) []int {
	t.Helper()
	switch role {
	case "controller":
		return []int{r.cmd.Process.Pid}
	case "agent":
		return agentsOf(t, r.cmd.Process.Pid)
	}
	panic("BUG: nobody plays " + role)
}

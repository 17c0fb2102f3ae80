package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

// TestKilledAgents kills agents at seeded moments of several runs: each test has exactly one
// verdict all the same, and nothing is left.
func TestKilledAgents(t *testing.T) {
	tests := testsOf(t, fixture(t, "faults"))
	total := 0
	for seed := range uint64(6) {
		dist := []string{"load", "loadscope"}[seed%2]
		t.Run(fmt.Sprintf("seed %d %s", seed, dist), func(t *testing.T) {
			r := newFaultyRun(t, seed, dist)
			r.run(t)
			total += r.kills
			t.Logf("%d kills", r.kills)
			r.checkVerdicts(t, tests)
			r.checkLeftovers(t)
			if t.Failed() {
				t.Logf("xdist said: %s", tail(r.errs.String()))
			}
		})
	}
	if want := 200; total < want && !t.Failed() {
		t.Errorf("only %d kills, want %d: the test does not test what it says", total, want)
	}
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// testsOf reads the ids of a module's tests from its sources.
func testsOf(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", "*_test.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no test files in %s: %v", dir, err)
	}
	var ids []string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(b), -1) {
			ids = append(ids, "example.com/faults/"+filepath.Base(filepath.Dir(name))+"::"+m[1])
		}
	}
	slices.Sort(ids)
	return ids
}

// faultyRun is one run of xdist whose agents are killed. Its events are read from standard output,
// so that a kill happens at an event and not at a time.
type faultyRun struct {
	rand  *rand.Rand
	uid   string
	tmp   string // the run's TMPDIR
	cmd   *exec.Cmd
	seen  bytes.Buffer // the event stream
	errs  bytes.Buffer
	kills int

	strike func(*testing.T) // what happens after every few events
}

func newFaultyRun(t *testing.T, seed uint64, dist string) *faultyRun {
	r := &faultyRun{
		rand: rand.New(rand.NewPCG(seed, 0xfa017)),
		uid:  fmt.Sprintf("faults-%d-%d", os.Getpid(), seed),
		tmp:  t.TempDir(),
	}
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	t.Cleanup(cancel)
	r.cmd = exec.CommandContext(ctx, xdist(t), "--tx", "4*popen", "--dist", dist, "--max-worker-restart", "100000", "--testrunuid", r.uid, "--json", "./...")
	r.cmd.Dir = fixture(t, "faults")
	r.cmd.Env = append(os.Environ(), "TMPDIR="+r.tmp, "XDIST_CACHE="+storeDir(t))
	r.cmd.Stderr = &r.errs
	r.cmd.WaitDelay = 10 * time.Second
	r.strike = r.kill
	return r
}

// run reads the events and strikes after every few of them.
func (r *faultyRun) run(t *testing.T) {
	t.Helper()
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	for next := r.rand.IntN(4); ; next-- {
		line, err := lines.ReadBytes('\n')
		r.seen.Write(line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Error(err)
			break
		}
		if next <= 0 {
			r.strike(t)
			next = 1 + r.rand.IntN(20)
		}
	}
	if err := r.cmd.Wait(); err != nil && r.cmd.ProcessState.ExitCode() < 0 {
		t.Errorf("xdist: %v\n%s", err, r.errs.String())
	}
}

// kill kills one of the agents, if there is one.
func (r *faultyRun) kill(t *testing.T) {
	t.Helper()
	agents := agentsOf(t, r.cmd.Process.Pid)
	if len(agents) == 0 {
		return
	}
	if err := unix.Kill(agents[r.rand.IntN(len(agents))], unix.SIGKILL); err == nil {
		r.kills++
	}
}

// TestKillerOfAgents runs a test that kills its agent just after its start. The controller has
// heard by then that it began, suspects nobody else, and does not halve the unit until it is alone.
func TestKillerOfAgents(t *testing.T) {
	const (
		runs   = 6
		enough = 5 // a busy machine may keep an agent from running for some milliseconds
		killer = "TestKiller"
	)
	straight := 0
	for range runs {
		log := filepath.Join(t.TempDir(), "log")
		model, e := runXdist(t, fixture(t, "killer"), []string{"KILLER_LOG=" + log}, "--tx", "2*popen", ".")
		p := model.Packages["example.com/killer"]
		if p == nil || len(p.Tests) != 21 || e.status != 1 {
			t.Fatalf("status %d, not all tests are there: %v\n%s%s", e.status, p, e.stdout, e.stderr)
		}
		for name, v := range p.Tests {
			want := "pass"
			if name == killer {
				want = "fail"
			}
			if crashed := strings.Contains(v.Output, " crashed while running on "); v.Outcome() != want || crashed != (name == killer) {
				t.Errorf("%s: %s, want %s\n%s", name, v.Outcome(), want, v.Output)
			}
		}
		deaths, others, alone := beganIn(t, log, killer)
		t.Logf("%s began %d times, others %d times", killer, deaths, others)
		if !alone {
			t.Errorf("%s was blamed and had not run alone", killer)
		}
		if deaths == 2 && others < 2*len(p.Tests) { // a quick package is shown by a run of the whole
			straight++
		}
	}
	if straight < enough {
		t.Errorf("%d of %d runs took one suspicion and one confirmation, want %d", straight, runs, enough)
	}
}

// beganIn reads how often a test began and how often others did, and whether the last process in
// which the test did ran it alone.
func beganIn(t *testing.T, log, test string) (times, others int, alone bool) {
	t.Helper()
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]int{} // tests, by process
	for line := range strings.Lines(string(b)) {
		switch process, name, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case name != test:
			others++
			before[process]++
		default:
			times++
			alone = before[process] == 0
		}
	}
	return times, others, alone
}

// agentsOf are the children of a process that were started as `xdist agent`, zombies left out, in
// order.
func agentsOf(t *testing.T, parent int) []int {
	t.Helper()
	var agents []int
	for pid := range processes(t) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(parent) {
			continue
		}
		argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && slices.Contains(strings.Split(string(argv), "\x00"), "agent") {
			agents = append(agents, pid)
		}
	}
	slices.Sort(agents)
	return agents
}

// processes are the ids of all processes of this machine.
func processes(t *testing.T) map[int]bool {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	pids := map[int]bool{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids[pid] = true
		}
	}
	return pids
}

// checkVerdicts wants exactly one run and one verdict of every test, and an exit status that agrees
// with them.
func (r *faultyRun) checkVerdicts(t *testing.T, tests []string) {
	t.Helper()
	m, err := compare.Read(bytes.NewReader(r.seen.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Problems {
		t.Error(p)
	}
	var have []string
	for name, p := range m.Packages {
		for test, v := range p.Tests {
			have = append(have, name+"::"+test)
			if len(v.Outcomes) != 1 {
				t.Errorf("%s::%s has %d verdicts: %s (%v)\n%s", name, test, len(v.Outcomes), v.Outcome(), v.Actions, v.Output)
			}
		}
	}
	slices.Sort(have)
	if !slices.Equal(have, tests) {
		t.Errorf("tests with a verdict: %d, want %d; missing %q", len(have), len(tests), slices.DeleteFunc(slices.Clone(tests), func(id string) bool { return slices.Contains(have, id) }))
	}
	if got, want := r.cmd.ProcessState.ExitCode(), statusOf(m); got != want {
		t.Errorf("exit status %d, want %d\n%s", got, want, tail(r.errs.String()))
	}
}

// checkLeftovers wants no process of the run and no file in its TMPDIR.
func (r *faultyRun) checkLeftovers(t *testing.T) {
	t.Helper()
	mark := []byte("XDIST_TESTRUNUID=" + r.uid + "\x00")
	for pid := range processes(t) {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || !bytes.Contains(env, mark) || endsSoon(t, pid) {
			continue
		}
		argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil {
			t.Errorf("process %d is left: %q", pid, argv)
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Log(err)
			}
		}
	}
	left, err := filepath.Glob(filepath.Join(r.tmp, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		t.Errorf("file is left: %s", strings.TrimPrefix(name, r.tmp+"/"))
	}
}

// endsSoon waits for the end of a process that the kernel has been told to end: the signal that
// follows an agent's death arrives after it.
func endsSoon(t *testing.T, pid int) bool {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	deadline := time.Now().Add(2 * time.Second)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(deadline).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

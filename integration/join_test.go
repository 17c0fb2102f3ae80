package integration

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

// elastic is a place for a run that others join: its key, and the desk where the tests of
// testdata/joiners say where they run.
type elastic struct {
	t               *testing.T
	key, desk, jobs string
}

func newElastic(t *testing.T) *elastic {
	t.Helper()
	e := &elastic{t: t, key: filepath.Join(t.TempDir(), "team.key"), desk: t.TempDir(), jobs: t.TempDir()}
	e.keygen(e.key)
	return e
}

func (e *elastic) keygen(name string) {
	e.t.Helper()
	if r := command(e.t, ".", nil, xdist(e.t), "keygen", name); r.status != 0 {
		e.t.Fatal(r.stderr)
	}
}

// program is a process of xdist that a test talks to.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	read sync.WaitGroup

	mu      sync.Mutex // guards what follows
	said    strings.Builder
	changec chan struct{} // closed and replaced when more was said
}

// start starts xdist. It is killed at the end of the test.
func (e *elastic) start(dir string, args ...string) *program {
	e.t.Helper()
	p := &program{t: e.t, cmd: exec.Command(xdist(e.t), args...), changec: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), "JOINERS_DESK="+e.desk, "XDIST_CACHE="+storeDir(e.t))
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	p.read.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			p.said.WriteString(lines.Text() + "\n")
			close(p.changec)
			p.changec = make(chan struct{})
			p.mu.Unlock()
		}
	})
	e.t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.wait()
	})
	return p
}

// wait returns the exit status and what was said on standard error.
func (p *program) wait() (status int, stderr string) {
	late := time.AfterFunc(runLimit, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	p.read.Wait()
	p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.ProcessState.ExitCode(), p.said.String()
}

// await returns the first match of the pattern in what the program says on standard error.
func (p *program) await(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.NewTimer(runLimit)
	defer late.Stop()
	for {
		p.mu.Lock()
		said, changec := p.said.String(), p.changec
		p.mu.Unlock()
		if m := re.FindStringSubmatch(said); m != nil {
			return m
		}
		select {
		case <-changec:
		case <-late.C:
			p.t.Fatalf("%s never said %q, but\n%s", p.cmd.Args, pattern, said)
		}
	}
}

// controller starts a run of testdata/joiners that listens at addr. Its events are in events.json.
func (e *elastic) controller(addr string, args ...string) *program {
	e.t.Helper()
	return e.start(fixture(e.t, "joiners"), slices.Concat([]string{"--tx", "listen=" + addr + "//key=" + e.key, "--mirror-dir", e.jobs,
		"--jsonfile", filepath.Join(e.jobs, "events.json"), "--dist", "loadscope"}, args, []string{"./..."})...)
}

// join starts a joiner of one agent.
func (e *elastic) join(addr string) *program {
	e.t.Helper()
	return e.start(e.t.TempDir(), "join", addr, "--key", e.key, "-n", "1", "--debug")
}

// begun waits until a test runs on a worker, and returns what it sees of its slot.
func (e *elastic) begun(worker string) string {
	e.t.Helper()
	name := filepath.Join(e.desk, "on-"+worker)
	late := time.NewTimer(runLimit)
	defer late.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if seen, err := os.ReadFile(name); err == nil && len(seen) > 0 {
			return string(seen)
		}
		select {
		case <-tick.C:
		case <-late.C:
			e.t.Fatalf("no test has begun on %s", worker)
		}
	}
}

// goOn lets the tests end.
func (e *elastic) goOn() {
	e.t.Helper()
	if err := os.WriteFile(filepath.Join(e.desk, "go"), nil, 0o666); err != nil {
		e.t.Fatal(err)
	}
}

// checkAllPass wants the run to end with one pass for each test.
func (e *elastic) checkAllPass(run *program) {
	e.t.Helper()
	if status, stderr := run.wait(); status != 0 {
		e.t.Errorf("exit status %d\n%s", status, stderr)
	}
	f, err := os.Open(filepath.Join(e.jobs, "events.json"))
	if err != nil {
		e.t.Fatal(err)
	}
	defer f.Close()
	m, err := compare.Read(f)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, problem := range m.Problems {
		e.t.Error(problem)
	}
	for _, pkg := range []string{"example.com/joiners/one", "example.com/joiners/two"} {
		for _, test := range []string{"TestA", "TestB", "TestC"} {
			if p := m.Packages[pkg]; p == nil || p.Tests[test].Outcome() != "pass" {
				e.t.Errorf("%s::%s has not passed once", pkg, test)
			}
		}
	}
}

func checkJoined(t *testing.T, joiners ...*program) {
	t.Helper()
	for _, j := range joiners {
		if status, stderr := j.wait(); status != 0 {
			t.Errorf("a joiner ended with status %d\n%s", status, stderr)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// waiting is what a controller says when it can be joined.
const waiting = `waiting for agents at (\S+) `

// TestJoin has one joiner that is there before its controller and one that comes after it; the
// tests wait for both.
func TestJoin(t *testing.T) {
	t.Parallel()
	e := newElastic(t)
	addr := freeAddress(t)
	early := e.join(addr)
	early.await("no controller")
	run := e.controller(addr, "--min-nodes", "2")
	run.await(waiting)
	late := e.join(addr)
	seen := []string{e.begun("gw0"), e.begun("gw1")}
	if seen[0] == seen[1] || !strings.HasPrefix(min(seen[0], seen[1]), "slot=0 ports=") || !strings.HasPrefix(max(seen[0], seen[1]), "slot=1 ports=") {
		t.Errorf("workers of one host see %q", seen)
	}
	e.goOn()
	e.checkAllPass(run)
	checkJoined(t, early, late)
}

// TestJoinLate has a joiner that comes while the only other gateway runs a test.
func TestJoinLate(t *testing.T) {
	t.Parallel()
	e := newElastic(t)
	run := e.controller("127.0.0.1:0", "--tx", "popen//id=own")
	addr := run.await(waiting)[1]
	e.begun("own")
	late := e.join(addr)
	e.begun("gw0")
	e.goOn()
	e.checkAllPass(run)
	checkJoined(t, late)
}

// TestJoinerVanishes ends a joiner in the middle of a test, in several ways. Nobody else is there,
// until another one comes.
func TestJoinerVanishes(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Kill, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			e := newElastic(t)
			run := e.controller("127.0.0.1:0")
			addr := run.await(waiting)[1]
			first := e.join(addr)
			e.begun("gw0")
			if err := first.cmd.Process.Signal(signal); err != nil {
				t.Skipf("skipped: this system cannot send %v: %v", signal, err)
			}
			status, stderr := first.wait()
			if signal == os.Interrupt && status != 130 {
				t.Errorf("the joiner ended with status %d\n%s", status, stderr)
			}
			run.await("gateway gw0 is ")
			second := e.join(addr)
			e.begun("gw1")
			e.goOn()
			e.checkAllPass(run)
			checkJoined(t, second)
		})
	}
}

// TestJoinWithAnotherKey has a joiner that is refused, while the run goes on.
func TestJoinWithAnotherKey(t *testing.T) {
	t.Parallel()
	e := newElastic(t)
	e.goOn()
	run := e.controller("127.0.0.1:0")
	addr := run.await(waiting)[1]
	other := filepath.Join(t.TempDir(), "other.key")
	e.keygen(other)
	if r := command(t, ".", nil, xdist(t), "join", addr, "--key", other, "-n", "2"); r.status != 5 || !strings.Contains(r.stderr, "does not have the key") {
		t.Errorf("exit status %d\n%s", r.status, r.stderr)
	}
	joiner := e.join(addr)
	e.checkAllPass(run)
	checkJoined(t, joiner)
}

// TestNodesDoNotCome has runs that give up for lack of gateways.
func TestNodesDoNotCome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		args       []string
	}{
		{"one of two", "1 of 2 have come", []string{"--tx", "popen", "--min-nodes", "2"}},
		{"none", "0 of 1 have come", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newElastic(t)
			status, stderr := e.controller("127.0.0.1:0", append(tt.args, "--nodes-wait", "1500ms")...).wait()
			if status != 5 || !strings.Contains(stderr, tt.text) || !strings.Contains(stderr, "within 1.5s") {
				t.Errorf("exit status %d\n%s", status, stderr)
			}
			if begun, err := filepath.Glob(filepath.Join(e.desk, "on-*")); err != nil || len(begun) > 0 {
				t.Errorf("tests have begun: %v, %v", begun, err)
			}
		})
	}
}

package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sys/unix"

	"github.com/xdist-go/xdist/integration/sshd"
)

const (
	// chaosLimit is how long a run may take. A lease is given up after 19 s, and a test process
	// that was stopped before its first test is ended a minute after its -timeout, as by go test.
	chaosLimit = 3 * time.Minute
	// chaosEnd is how long processes may go on after their controller: for one more lease.
	chaosEnd = 25 * time.Second
)

// slowFaults has a package of the fixture take 2.2 s in all.
const slowFaults = "FAULTS_SLOW=8"

// chaosWorld is what a round has for itself: directories, a server, joiners.
type chaosWorld struct {
	t    *testing.T
	plan *chaosPlan

	binary string // xdist
	dir    string // the controller's TMPDIR
	far    string // TMPDIR of hosts by ssh
	mirror string // where trees go
	cache  string // the controller's XDIST_CACHE
	env    []string
	server *sshd.Server // of rounds by ssh
	proxy  *slowProxy   // before what is frozen
	tx     []string     // the flags that reach the agents
	join   []string     // arguments of joiners

	strikes int
	twice   int
	status  string
	stopped []stopped // what the striker has not let go on
}

// mark is in the environment of all processes of the round but sshd's.
func (w *chaosWorld) mark() string { return fmt.Sprintf("XDIST_CHAOS=%d-%d", os.Getpid(), w.plan.seed) }

// open makes the world.
func (w *chaosWorld) open() {
	t := w.t
	t.Helper()
	var err error
	if w.binary, err = chaosBinary(); err != nil {
		t.Fatal(err)
	}
	w.dir, w.far, w.mirror, w.cache = t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	w.env = append(os.Environ(), w.mark(), "TMPDIR="+w.dir, "XDIST_CACHE="+w.cache, "XDIST_NO_HISTORY=1")
	if w.plan.slow {
		w.env = append(w.env, slowFaults)
	}
	switch {
	case w.plan.victim != "build":
		w.copyOf(chaosStore, w.cache)
	case w.plan.cold:
		w.env = append(w.env, "GOCACHE="+t.TempDir())
	default:
		dir := t.TempDir()
		w.copyOf(chaosCache, dir)
		w.env = append(w.env, "GOCACHE="+dir)
	}
	switch w.plan.transport {
	case "popen":
		w.tx = []string{"--tx", "4*popen"}
	case "ssh":
		w.openSSH()
	case "listen":
		w.openListen()
	}
}

// openSSH starts a server, behind a proxy where a connection is to freeze.
func (w *chaosWorld) openSSH() {
	t := w.t
	t.Helper()
	env := []string{w.mark(), "TMPDIR=" + w.far}
	if w.plan.slow {
		env = append(env, slowFaults)
	}
	w.server = sshd.Start(t, sshd.Options{Env: env})
	config := w.server.Config
	if w.plan.victim == "connection" {
		w.proxy = newSlowProxy(t, w.server.Addr())
		config = w.behind()
	}
	w.tx = []string{"--tx", "3*ssh=" + w.server.Name + "//ssh_config=" + config, "--mirror-dir", w.mirror}
}

// behind is a configuration of ssh that leads through the proxy.
func (w *chaosWorld) behind() string {
	t := w.t
	t.Helper()
	dir := t.TempDir()
	_, port, _ := strings.Cut(w.proxy.addr(), ":")
	text, err := os.ReadFile(w.server.Config)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(dir, "known_hosts")
	changed := strings.NewReplacer("HostName "+w.server.Host, "HostName 127.0.0.1", "Port "+w.server.Port, "Port "+port, w.server.KnownHosts, known).Replace(string(text))
	for name, text := range map[string]string{
		known:                            knownhosts.Line([]string{w.proxy.addr()}, w.server.HostKey) + "\n",
		filepath.Join(dir, "ssh_config"): changed,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "ssh_config")
}

// openListen chooses an address and makes a key.
func (w *chaosWorld) openListen() {
	t := w.t
	t.Helper()
	key, addr := filepath.Join(t.TempDir(), "team.key"), freeAddress(t)
	if r := command(t, ".", nil, w.binary, "keygen", key); r.status != 0 {
		t.Fatal(r.stderr)
	}
	w.tx = []string{"--tx", "listen=" + addr + "//key=" + key, "--mirror-dir", w.mirror, "--nodes-wait", "1m"}
	if w.plan.victim == "connection" {
		w.proxy = newSlowProxy(t, addr)
		addr = w.proxy.addr()
	}
	w.join = []string{"join", addr, "--key", key, "-n", "1", "--wait", "2m"}
}

// chaosStore is a store with the binaries of the fixture. Each round has a copy.
var chaosStore = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs(filepath.Join("testdata", "faults"))
	if err != nil {
		return "", err
	}
	return warmUp("store", dir, "XDIST_CACHE")
})

// chaosCache is a build cache with the standard library, and nothing of the fixture. Each round
// with a build has a copy.
var chaosCache = sync.OnceValues(func() (string, error) {
	root, err := xdistDir()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "warm", "module")
	if err := os.MkdirAll(module, 0o700); err != nil {
		return "", err
	}
	for name, text := range map[string]string{
		"go.mod":    "module example.com/warm\n\ngo 1.26.0\n",
		"w_test.go": "package warm\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\nfunc TestWarm(t *testing.T) { time.Sleep(1) }\n",
	} {
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return warmUp("cache", module, "GOCACHE")
})

// chaosBinary is xdist without cgo. It is its own agent on hosts, for which none is compiled then.
var chaosBinary = sync.OnceValues(func() (string, error) {
	root, err := xdistDir()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(root, "chaos", "xdist")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "../cmd/xdist")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ../cmd/xdist without cgo: %w\n%s", err, out)
	}
	return binary, nil
})

// warmUp runs xdist in a module with an empty directory for what a variable names, and returns
// that.
func warmUp(name, module, variable string) (string, error) {
	root, err := xdistDir()
	if err != nil {
		return "", err
	}
	binary, err := chaosBinary()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "warm", name)
	cmd := exec.Command(binary, "--tx", "popen", "./...")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "XDIST_NO_HISTORY=1", "XDIST_CACHE="+filepath.Join(root, "warm", "other"), variable+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("warm up a %s: %w\n%s", name, err, out)
	}
	return dir, nil
}

// copyOf copies what was warmed up to a directory.
func (w *chaosWorld) copyOf(warm func() (string, error), dir string) {
	w.t.Helper()
	from, err := warm()
	if err == nil {
		err = os.CopyFS(dir, os.DirFS(from))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// chaosRun is one run of xdist in a world.
type chaosRun struct {
	cmd    *exec.Cmd
	junit  string       // the report that has the account
	seen   bytes.Buffer // the event stream
	events atomic.Int64 // in seen
	errs   bytes.Buffer
	hung   bool // it did not end in time
}

// run runs xdist to its end, and strikes if it is to.
func (w *chaosWorld) run(strike bool) *chaosRun {
	t := w.t
	t.Helper()
	limit := chaosLimit
	if w.plan.cold {
		limit *= 3 // the standard library takes a minute of both processors, when nothing else does
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	r := &chaosRun{junit: filepath.Join(t.TempDir(), "junit.xml")}
	stdout := w.start(ctx, r)
	over, end := context.WithCancel(t.Context())
	var beside sync.WaitGroup
	if strike {
		s := &striker{w: w, run: r}
		beside.Go(func() { s.loop(over) })
		if w.plan.victim == "controller" && w.plan.signal == unix.SIGSTOP && w.plan.resume == 0 {
			beside.Go(func() { w.killStopped(over, r) })
		}
	}
	joiners := w.startJoiners(over)
	if err := r.follow(stdout); err != nil {
		t.Error(err)
	}
	err := r.cmd.Wait()
	if r.hung = ctx.Err() != nil; r.hung {
		t.Errorf("the run did not end within %v: %v", limit, err)
	}
	end()
	beside.Wait()
	w.goOn(joiners)
	return r
}

// start starts xdist. ctx bounds the run.
func (w *chaosWorld) start(ctx context.Context, r *chaosRun) io.Reader {
	t := w.t
	t.Helper()
	args := append([]string{"--json", "--junitxml", r.junit, "--dist", w.plan.dist, "--max-worker-restart", "100000", "--test-timeout", "5s"}, w.tx...)
	r.cmd = exec.CommandContext(ctx, w.binary, append(args, "./...", "-timeout", "30s")...)
	r.cmd.Dir, r.cmd.Env, r.cmd.Stderr, r.cmd.WaitDelay = fixture(t, "faults"), w.env, &r.errs, 10*time.Second
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return stdout
}

// follow reads the event stream to its end.
func (r *chaosRun) follow(stdout io.Reader) error {
	for lines := bufio.NewReader(stdout); ; r.events.Add(1) {
		line, err := lines.ReadBytes('\n')
		r.seen.Write(line)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the events: %w", err)
		}
	}
}

// goOn waits for what has to end while some are still stopped, lets those go on, and waits for all.
func (w *chaosWorld) goOn(joiners *sync.WaitGroup) {
	w.checkEnded(func(p markedProcess) bool { return len(w.stopped) == 0 && w.proxy == nil || !w.heldUp(p) })
	if w.proxy != nil {
		w.proxy.cut()
	}
	for _, v := range w.stopped {
		v.goesOn(w.t)
	}
	w.stopped = nil
	joiners.Wait()
	w.checkEnded(func(markedProcess) bool { return true })
	if w.server != nil {
		w.within("sshd has no sessions", func() (left []string) {
			for _, pid := range sessionsOf(w.t, w.server.Pid()) {
				left = append(left, fmt.Sprintf("sshd process %d in state %s", pid, w.state(pid)))
			}
			return left
		})
	}
}

// heldUp reports whether a process cannot end before what was stopped or frozen goes on. A joiner
// may be stopped itself. What is to become an agent on a host has no lease yet, be it a shell or
// the upload: it ends with the session of sshd, and that with its connection.
func (w *chaosWorld) heldUp(p markedProcess) bool {
	return len(p.argv) > 1 && p.argv[1] == "join" || w.server != nil && p.role() == ""
}

// checkEnded wants the processes of the round to end that are chosen.
func (w *chaosWorld) checkEnded(chosen func(markedProcess) bool) {
	w.t.Helper()
	w.within("the processes have ended", func() (left []string) {
		for _, p := range marked(w.t, w.mark()) {
			if chosen(p) {
				left = append(left, fmt.Sprintf("process %d %q", p.pid, p.argv))
			}
		}
		return left
	})
}

// within waits until nothing is left, for chaosEnd at most.
func (w *chaosWorld) within(what string, look func() (left []string)) {
	w.t.Helper()
	deadline := time.Now().Add(chaosEnd)
	for {
		left := look()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Errorf("%v have gone by without this: %s; left is %s", chaosEnd, what, strings.Join(left, "; "))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// killStopped ends a controller that was stopped for ever, when all others have ended that have a
// lease. A build waits for the controller to read what it says.
func (w *chaosWorld) killStopped(over context.Context, r *chaosRun) {
	for w.state(r.cmd.Process.Pid) != "T" {
		select {
		case <-over.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	w.checkEnded(func(p markedProcess) bool {
		return p.pid != r.cmd.Process.Pid && p.role() != "build" && !w.heldUp(p)
	})
	if err := r.cmd.Process.Kill(); err != nil {
		w.t.Error(err)
	}
}

// state is that of a process in /proc, or "".
func (w *chaosWorld) state(pid int) string {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // empty for one that has ended
	_, rest, _ := strings.Cut(string(stat), ") ")
	state, _, _ := strings.Cut(rest, " ")
	return state
}

// startJoiners starts two joiners, and again what has ended of them until the run is over. Then
// they have some time to end by themselves, and are asked to.
func (w *chaosWorld) startJoiners(over context.Context) *sync.WaitGroup {
	var wait sync.WaitGroup
	if w.join == nil {
		return &wait
	}
	for range 2 {
		wait.Go(func() {
			for over.Err() == nil {
				w.joiner(over)
				select {
				case <-over.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	return &wait
}

// joiner runs a joiner to its end.
func (w *chaosWorld) joiner(over context.Context) {
	cmd := exec.Command(w.binary, w.join...)
	cmd.Dir, cmd.Env = w.dir, w.env
	if err := cmd.Start(); err != nil {
		w.t.Error(err)
		return
	}
	endedc := make(chan struct{})
	go func() {
		defer close(endedc)
		cmd.Wait() // how it ends depends on what was struck
	}()
	select {
	case <-endedc:
		return
	case <-over.Done():
	}
	select {
	case <-endedc:
	case <-time.After(2 * time.Second):
		cmd.Process.Signal(unix.SIGTERM) // it looks for a controller, or was stopped
		<-endedc
	}
}

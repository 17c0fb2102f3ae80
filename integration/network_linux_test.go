package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/integration/netns"
)

// farNet is a network of a far's hosts, with the controller's commands for it.
type farNet struct {
	*far
	binary string
	env    []string
}

// newFarNet starts a network mynet of n hosts, which have the ids h1, h2 and so on.
func newFarNet(t *testing.T, n int) *farNet {
	t.Helper()
	f := &farNet{far: newFar(t, make([]netns.HostOptions, n)...), binary: xdist(t)}
	for _, h := range f.hosts {
		if err := os.Mkdir(h.Path(desk), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "net") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f.env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "XDIST_CACHE="+storeDir(t), "XDIST_NO_HISTORY=1")
	f.startNet(t)
	t.Cleanup(func() {
		f.command("net", "stop", "mynet") // it may be stopped already
		if left, err := filepath.Glob(filepath.Join(dir, "xdist", "*")); err != nil || len(left) > 0 {
			t.Errorf("files are left: %v, %v", left, err)
		}
		for _, h := range f.hosts {
			checkEmpty(t, h)
		}
	})
	return f
}

// startNet starts the network.
func (f *farNet) startNet(t *testing.T) {
	t.Helper()
	args := []string{"net", "start", "mynet"}
	for _, h := range f.hosts {
		args = append(args, "--tx", h.Spec()+"//id="+h.Name)
	}
	if out, err := f.command(args...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// command runs xdist in the controller's network and returns what it says.
func (f *farNet) command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.binary, args...)
	var out bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = f.env, &out, &out, 10*time.Second
	err := f.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	return out.String(), err
}

// netState is what xdist net status --json says.
type netState struct {
	Pid   int
	Hosts []netHost
}

// netHost is a host in it.
type netHost struct {
	ID, Spec    string
	Up          bool
	Error       string
	Lost, Users int
	Pid         int
}

// readNetState reads what xdist net status --json has said.
func readNetState(t *testing.T, text string) (st netState) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return st
}

func (f *farNet) state(t *testing.T) netState {
	t.Helper()
	out, err := f.command("net", "status", "mynet", "--json")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	st := readNetState(t, out)
	if len(st.Hosts) != len(f.hosts) {
		t.Fatalf("%d hosts, want %d\n%s", len(st.Hosts), len(f.hosts), out)
	}
	return st
}

// startRun starts a run of testdata/cable with one gateway on each host and waits until a test
// waits there.
func (f *farNet) startRun(t *testing.T) *farRun {
	t.Helper()
	for _, h := range f.hosts {
		names, _ := filepath.Glob(h.Path(desk + "/*")) // of an earlier run
		for _, name := range names {
			os.Remove(name)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	t.Cleanup(cancel)
	r := &farRun{events: filepath.Join(t.TempDir(), "events.json")}
	args := []string{"--jsonfile", r.events, "--tx", fmt.Sprintf("%d*net=mynet", len(f.hosts)), "./..."}
	r.Cmd = exec.CommandContext(ctx, f.binary, args...)
	r.Dir, r.Env = fixture(t, "cable"), f.env
	r.Stdout, r.Stderr, r.WaitDelay = &r.out, &r.out, 10*time.Second
	if err := f.Start(r.Cmd); err != nil {
		t.Fatal(err)
	}
	eventually(t, "tests run on two hosts", time.Minute, func() bool { return len(f.busy(t)) >= 2 })
	return r
}

// busy are the hosts on which tests have begun.
func (f *farNet) busy(t *testing.T) []*netns.Host {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(f.hosts), func(h *netns.Host) bool { return len(begun(t, h)) == 0 })
}

// relayOnly says what runs on a host besides the one agent that is the relay.
func relayOnly(t *testing.T, h *netns.Host) error {
	t.Helper()
	left, err := h.Processes()
	if err != nil {
		t.Fatal(err)
	}
	if len(left) == 1 {
		return nil
	}
	return fmt.Errorf("%d processes run on %s, want the relay alone: %v", len(left), h.Name, left)
}

func (f *farNet) up(t *testing.T, lost map[string]int) bool {
	t.Helper()
	for _, h := range f.state(t).Hosts {
		if !h.Up || h.Lost < lost[h.ID] {
			return false
		}
	}
	return true
}

// TestNetworkControllerKilled kills a run: what it has started ends on all hosts, and the network
// goes on as if nothing had been.
func TestNetworkControllerKilled(t *testing.T) {
	t.Parallel()
	f := newFarNet(t, 3)
	r := f.startRun(t)
	if err := r.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.Wait() // it was killed
	for _, h := range f.hosts {
		eventually(t, "nothing but the relay runs on "+h.Name, 30*time.Second, func() bool { return relayOnly(t, h) == nil })
	}
	eventually(t, "the network counts no program", 30*time.Second, func() bool {
		for _, h := range f.state(t).Hosts {
			if !h.Up || h.Lost != 0 {
				t.Fatalf("%+v", h)
			}
			if h.Users > 0 {
				return false
			}
		}
		return true
	})
	f.wholeRun(t)
}

// wholeRun runs all tests and wants the verdicts.
func (f *farNet) wholeRun(t *testing.T) {
	t.Helper()
	r := f.startRun(t)
	for _, h := range f.hosts {
		tell(t, h, "go")
	}
	m, status := r.wait(t)
	checkAllPass(t, r, m, status)
}

// TestNetworkHostReboots kills all that runs on a host, sshd too, while tests run there: they run
// elsewhere, and the network has the host again when it is back.
func TestNetworkHostReboots(t *testing.T) {
	t.Parallel()
	f := newFarNet(t, 3)
	r := f.startRun(t)
	h := f.busy(t)[0]
	if err := h.Halt(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, other := range f.hosts {
		if other != h {
			tell(t, other, "go")
		}
	}
	m, status := r.wait(t)
	checkAllPass(t, r, m, status)
	eventually(t, "the network knows that the host is down", 30*time.Second, func() bool {
		for _, s := range f.state(t).Hosts {
			if s.ID == h.Name {
				return !s.Up && strings.Contains(s.Error, "refused")
			}
		}
		return false
	})
	if err := h.StartServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host is up again", time.Minute, func() bool { return f.up(t, map[string]int{h.Name: 1}) })
	f.wholeRun(t)
}

// TestNetworkCableCut cuts a host off while tests run there, and mends the cable later.
func TestNetworkCableCut(t *testing.T) {
	t.Parallel()
	f := newFarNet(t, 3)
	r := f.startRun(t)
	h := f.busy(t)[0]
	h.Cable.Cut()
	for _, other := range f.hosts {
		if other != h {
			tell(t, other, "go")
		}
	}
	m, status := r.wait(t)
	checkAllPass(t, r, m, status)
	checkEmpty(t, h) // the relay too: while the cable is cut no goodbye gets there
	h.Cable.Mend()
	eventually(t, "the host is up again", 2*time.Minute, func() bool { return f.up(t, map[string]int{h.Name: 1}) })
	f.wholeRun(t)
}

// TestNetworkKilled kills the network's process while tests run: nothing is left on the hosts, the
// run ends with the account of what was lost, and the next start heals what is left here.
func TestNetworkKilled(t *testing.T) {
	t.Parallel()
	f := newFarNet(t, 3)
	r := f.startRun(t)
	if err := syscall.Kill(f.state(t).Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, h := range f.hosts {
		checkEmpty(t, h)
	}
	if m, status := r.wait(t); status == 0 {
		t.Errorf("a run whose network was killed has status %d, problems %v", status, m.Problems)
	} else if said := r.said(); !strings.Contains(said, "no such network is running") {
		t.Errorf("the run says: %s", tail(said))
	}
	f.startNet(t)
	f.wholeRun(t)
}

// TestNetworkOfAnotherPlatform has hosts of two platforms, one of them emulated: each gateway gets
// an agent of the host's.
func TestNetworkOfAnotherPlatform(t *testing.T) {
	needEmulators(t)
	dir, err := os.MkdirTemp("", "net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	env := []string{"XDG_RUNTIME_DIR=" + dir, "XDIST_CACHE=" + storeDir(t)}
	run := func(status int, args ...string) string {
		t.Helper()
		e := command(t, fixture(t, "platforms"), env, xdist(t), args...)
		if e.status != status {
			t.Fatalf("xdist %q: exit status %d, want %d\n%s%s", args, e.status, status, e.stdout, tail(e.stderr))
		}
		return e.stdout
	}
	run(0, "net", "start", "two", "--wait", "3m", "--tx", "popen//id=own", "--tx", "popen//goarch=arm64//exec=qemu-aarch64-static//id=arm")
	defer run(0, "net", "stop", "two")
	for spec, want := range map[string]string{"net=two//goarch=arm64": "linux/arm64", "net=two//goarch=amd64": "linux/amd64"} {
		if out := run(0, "doctor", "--tx", spec); !strings.Contains(out, want) {
			t.Errorf("%s: %s", spec, out)
		}
	}
	out := run(0, "--tx", "net=two//host=arm//goarch=arm64//exec=qemu-aarch64-static", "-run", "TestPlatform", "-v", "./endian")
	if !strings.Contains(out, "runs on linux/arm64") {
		t.Error(out)
	}
}

// TestNetworkOutlivesItsTerminal starts a network on a terminal that hangs up then.
func TestNetworkOutlivesItsTerminal(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("SIGHUP is ignored, as below nohup: no shell ends with its terminal")
	}
	dir, err := os.MkdirTemp("", "net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	env := []string{"XDG_RUNTIME_DIR=" + dir, "XDIST_CACHE=" + storeDir(t)}
	term := openTerminal(t)
	shell := term.start(env, "sh", "-c", "'"+xdist(t)+"' net start mynet --tx popen//id=a && echo that is all; sleep 1000")
	defer command(t, ".", env, xdist(t), "net", "stop", "mynet")
	term.await("that is all")
	term.theirs.Close()
	term.ours.Close() // all that has the terminal gets SIGHUP
	shell.Wait()      // it was hung up
	if shell.ProcessState.ExitCode() == 0 {
		t.Error("the shell went on without its terminal")
	}
	e := command(t, ".", env, xdist(t), "exec", "--tx", "net=mynet", "--", "echo", "still here")
	if e.status != 0 || !strings.Contains(e.stdout, "still here") {
		t.Errorf("exit status %d\n%s%s", e.status, e.stdout, e.stderr)
	}
}

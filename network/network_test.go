//go:build linux || darwin || freebsd

package network

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/netsock"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world gives this test sockets of its own. Paths of sockets are short.
func world(t *testing.T) (runtimeDir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "net")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

// start runs a network in this process until the test ends, or stop is called, which returns what
// Run does.
func start(t *testing.T, name string, specs ...string) (stop func() error) {
	t.Helper()
	return startConfig(t, Config{Name: name, Specs: specs})
}

// startConfig is start with more settings.
func startConfig(t *testing.T, cfg Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	readyc, endc := make(chan struct{}), make(chan error, 1)
	cfg.Version, cfg.HostsWait = "v1", 20*time.Second
	cfg.Ready = func(gateway.NetworkStatus) { close(readyc) }
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	go func() { endc <- Run(ctx, cfg) }()
	ended, result := false, error(nil)
	stop = func() error {
		if !ended {
			cancel()
			result, ended = <-endc, true
		}
		return result
	}
	t.Cleanup(func() { check(t, stop()) })
	select {
	case <-readyc:
	case result = <-endc:
		ended = true
		t.Fatal(result)
	case <-time.After(40 * time.Second):
		t.Fatal("the network is not up")
	}
	return stop
}

// group is one for the gateways of the test.
func group(t *testing.T) *gateway.Group {
	t.Helper()
	g := gateway.NewGroup(gateway.Config{})
	t.Cleanup(func() { check(t, g.Close()) })
	return g
}

func connect(t *testing.T, g *gateway.Group, name string) *gateway.Network {
	t.Helper()
	n, err := g.Connect(t.Context(), name)
	check(t, err)
	return n
}

func status(t *testing.T, n *gateway.Network) gateway.NetworkStatus {
	t.Helper()
	st, err := n.Status(t.Context())
	check(t, err)
	return st
}

// eventually looks again and again until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("30 s have gone by without this: %s", what)
		}
	}
}

// alive reports whether a process runs.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(text), ") Z ") // a zombie that nobody waits for
}

// A gateway through a network is one to this program, on the host that was asked for. Programs are
// counted, and nothing of them is left.
func TestNetwork(t *testing.T) {
	world(t)
	start(t, "mynet", "popen//id=a", "popen//id=b//label:big//label:gpu")
	g := group(t)
	n := connect(t, g, "mynet")
	here := status(t, n)
	if here.Name != "mynet" || here.Pid != os.Getpid() || here.Version != "v1" || len(here.Hosts) != 2 || !here.Hosts[0].Up || !here.Hosts[1].Up {
		t.Fatalf("status %+v", here)
	}
	gw, err := n.Open(t.Context(), gateway.OnLabel("big"), gateway.OnLabel("gpu"))
	check(t, err)
	got, err := pid.Call(t.Context(), gw, struct{}{})
	if err != nil || got != gw.Info().Pid || got == os.Getpid() || slices.ContainsFunc(here.Hosts, func(h gateway.NetworkHost) bool { return h.Info.Pid == got }) {
		t.Errorf("the call ran in process %d, %v; the agent is %d, and the relays must not be it", got, err, gw.Info().Pid)
	}
	if s := gw.Spec(); !slices.Equal(s.Labels, []string{"big", "gpu"}) {
		t.Errorf("labels %v", s.Labels)
	}
	if ids, err := n.Pick(t.Context(), gateway.Choice{}, 1); err != nil || !slices.Equal(ids, []string{"a"}) {
		t.Errorf("picked %v, %v: the other one has a program already", ids, err)
	}
	if st := status(t, n); st.Hosts[0].Users != 0 || st.Hosts[1].Users != 1 {
		t.Errorf("users %d and %d", st.Hosts[0].Users, st.Hosts[1].Users)
	}
	gw.Exit()
	<-gw.Done()
	if err := gw.Err(); !errors.Is(err, gateway.ErrExited) {
		t.Errorf("it has ended by %v", err)
	}
	eventually(t, "the network counts no program", func() bool { return status(t, n).Hosts[1].Users == 0 })
	if alive(got) {
		t.Errorf("the agent %d is left", got)
	}
}

// What cannot be had is said, with what there is.
func TestNetworkRefuses(t *testing.T) {
	world(t)
	start(t, "mynet", "popen//id=a", "cmd=false//id=gone//label:far")
	g := group(t)
	n := connect(t, g, "mynet")
	for _, tt := range []struct {
		spec, want string
	}{
		{"net=mynet//host=x", "no host fits host=x; it has a ("},
		{"net=mynet//goos=plan9", "no host fits goos=plan9"},
		{"net=mynet//label=big", "no host fits label=big"},
		{"net=mynet//label=far", "no host that fits is up: gone: "},
		{"net=other", "no such network is running"},
		{"net=..", "a name is a word"},
	} {
		if gw, err := g.Open(t.Context(), tt.spec); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want %q", tt.spec, gw, err, tt.want)
		}
	}
	if _, err := g.Connect(t.Context(), "other"); !errors.Is(err, gateway.ErrNoNetwork) {
		t.Errorf("connect: %v", err)
	}
	for spec, want := range map[string]string{
		"popen//popen": "given twice", "x=1": "no gateway type", "listen=:1//insecure": "by itself", "popen//id=a": "has this id",
		"popen//via=x": "no host of the network has this id", "net=mynet": "no host of its own", "2*popen": "holds a *",
	} {
		if ids, err := n.Add(t.Context(), "popen", spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("add %s: %v, %v; want %q", spec, ids, err, want)
		}
	}
	if st := status(t, n); len(st.Hosts) != 2 {
		t.Errorf("%d hosts are there after additions that failed", len(st.Hosts))
	}
	if err := n.Remove(t.Context(), "a", "x"); err == nil || !strings.Contains(err.Error(), `no host "x"`) {
		t.Errorf("remove: %v", err)
	}
}

// Hosts come and go while the network runs, also those that others go through.
func TestNetworkChanges(t *testing.T) {
	world(t)
	start(t, "mynet")
	g := group(t)
	n := connect(t, g, "mynet")
	if _, err := n.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "has no hosts") {
		t.Errorf("open: %v", err)
	}
	ids, err := n.Add(t.Context(), "popen", "popen//id=b", "popen//via=b")
	if err != nil || !slices.Equal(ids, []string{"h1", "b", "h2"}) {
		t.Fatalf("added %v, %v", ids, err)
	}
	eventually(t, "all hosts are up", func() bool {
		return !slices.ContainsFunc(status(t, n).Hosts, func(h gateway.NetworkHost) bool { return !h.Up })
	})
	gw, err := n.Open(t.Context(), gateway.OnHost("h2"))
	check(t, err)
	if err := n.Remove(t.Context(), "b"); err == nil || !strings.Contains(err.Error(), "host h2 goes through b") {
		t.Errorf("remove: %v", err)
	}
	check(t, n.Remove(t.Context(), "b", "h2"))
	<-gw.Done()
	if _, ok := errors.AsType[*gateway.LostError](gw.Err()); !ok {
		t.Errorf("a gateway to a host that was removed ended by %v", gw.Err())
	}
	if st := status(t, n); len(st.Hosts) != 1 || !st.Hosts[0].Up {
		t.Errorf("%+v", st.Hosts)
	}
}

// A host whose relay dies is there again; what ran there through it has ended, and others not.
func TestHostComesBack(t *testing.T) {
	world(t)
	start(t, "mynet", "popen//id=a", "popen//id=b", "popen//via=a//id=c")
	g := group(t)
	n := connect(t, g, "mynet")
	var agents []*gateway.Gateway
	for _, id := range []string{"a", "b", "c"} {
		gw, err := n.Open(t.Context(), gateway.OnHost(id))
		check(t, err)
		agents = append(agents, gw)
	}
	check(t, syscall.Kill(status(t, n).Hosts[0].Info.Pid, syscall.SIGKILL))
	for _, i := range []int{0, 2} {
		<-agents[i].Done()
		if lost, ok := errors.AsType[*gateway.LostError](agents[i].Err()); !ok || !strings.Contains(lost.Error(), "signal: killed") {
			t.Errorf("ended by %v", agents[i].Err())
		}
		eventually(t, "the agent has ended", func() bool { return !alive(agents[i].Info().Pid) })
	}
	eventually(t, "all hosts are up again", func() bool {
		st := status(t, n)
		return st.Hosts[0].Up && st.Hosts[0].Lost == 1 && st.Hosts[2].Up && st.Hosts[2].Lost == 1
	})
	if _, err := pid.Call(t.Context(), agents[1], struct{}{}); err != nil {
		t.Errorf("the other host: %v", err)
	}
	for _, id := range []string{"a", "c"} {
		gw, err := n.Open(t.Context(), gateway.OnHost(id))
		check(t, err)
		_, err = pid.Call(t.Context(), gw, struct{}{})
		check(t, err)
	}
}

// What a user has started ends when the user is killed; the network does not notice.
func TestUserIsKilled(t *testing.T) {
	world(t)
	start(t, "mynet", "popen//id=a")
	n := connect(t, group(t), "mynet")
	user := exec.Command(os.Args[0])
	user.Env = append(os.Environ(), userOf+"=mynet")
	out, err := user.StdoutPipe()
	check(t, err)
	check(t, user.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	agent, err := strconv.Atoi(strings.TrimSpace(line))
	check(t, err)
	if !alive(agent) || status(t, n).Hosts[0].Users != 1 {
		t.Errorf("before: agent %d, %+v", agent, status(t, n).Hosts[0])
	}
	check(t, user.Process.Kill())
	user.Wait() // it was killed
	eventually(t, "the agent has ended", func() bool { return !alive(agent) && status(t, n).Hosts[0].Users == 0 })
	if st := status(t, n); !st.Hosts[0].Up || st.Hosts[0].Lost != 0 {
		t.Errorf("after: %+v", st.Hosts[0])
	}
}

// A network that ends, by whomever, ends what runs through it and leaves nothing.
func TestNetworkEnds(t *testing.T) {
	for name, end := range map[string]func(n *gateway.Network, stop func() error) error{
		"by a user":     func(n *gateway.Network, _ func() error) error { return n.Stop(context.Background()) },
		"by its system": func(_ *gateway.Network, stop func() error) error { return stop() },
	} {
		t.Run(name, func(t *testing.T) {
			dir := world(t)
			stop := start(t, "mynet", "popen//id=a")
			n := connect(t, group(t), "mynet")
			gw, err := n.Open(t.Context())
			check(t, err)
			relay := status(t, n).Hosts[0].Info.Pid
			check(t, end(n, stop))
			<-gw.Done()
			if _, ok := errors.AsType[*gateway.LostError](gw.Err()); !ok || !strings.Contains(gw.Err().Error(), "network") || !strings.Contains(gw.Err().Error(), "has ended") {
				t.Errorf("the gateway has ended by %v", gw.Err())
			}
			check(t, stop())
			if alive(relay) || alive(gw.Info().Pid) {
				t.Errorf("relay %v, agent %v are left", alive(relay), alive(gw.Info().Pid))
			}
			if _, err := n.Status(t.Context()); !errors.Is(err, gateway.ErrNoNetwork) {
				t.Errorf("status: %v", err)
			}
			left, err := filepath.Glob(filepath.Join(dir, "xdist", "*"))
			if err != nil || len(left) > 0 || netsock.Held("mynet") {
				t.Errorf("files are left: %v, %v", left, err)
			}
		})
	}
}

// What has changed about a host the network knows soon, without anybody who uses it.
func TestHostIsLookedAt(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the niceness of another process's threads is changed by /proc")
	}
	world(t)
	startConfig(t, Config{Name: "mynet", Specs: []string{"popen//id=a"}, lookEvery: 20 * time.Millisecond})
	n := connect(t, group(t), "mynet")
	was := status(t, n).Hosts[0].Info
	if was.Load.Disk <= 0 || was.Load.Memory <= 0 {
		t.Errorf("the host's load is %+v", was.Load)
	}
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(was.Pid) + "/task")
	check(t, err)
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		check(t, err)
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, was.Niceness+1); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
	eventually(t, "the network knows that the relay is nicer", func() bool { return status(t, n).Hosts[0].Info.Niceness == was.Niceness+1 })
}

// There is one process for a name; its socket is made anew when somebody removes it.
func TestSocket(t *testing.T) {
	dir := world(t)
	start(t, "mynet", "popen//id=a")
	if err := Run(t.Context(), Config{Name: "mynet"}); !errors.Is(err, netsock.ErrRunning) {
		t.Errorf("a second one: %v", err)
	}
	n := connect(t, group(t), "mynet")
	gw, err := n.Open(t.Context())
	check(t, err)
	check(t, os.RemoveAll(filepath.Join(dir, "xdist")))
	if _, err := n.Status(t.Context()); !errors.Is(err, gateway.ErrNoNetwork) {
		t.Errorf("without a socket: %v", err)
	}
	eventually(t, "there is a socket again", func() bool { _, err := n.Status(t.Context()); return err == nil })
	if _, err := pid.Call(t.Context(), gw, struct{}{}); err != nil {
		t.Errorf("a gateway of before: %v", err)
	}
}

// A gateway's agent leads to the networks of its user: A to C, through B that has a network.
func TestNetworkBehindAGateway(t *testing.T) {
	world(t)
	start(t, "there", "popen//id=c")
	g := group(t)
	_, err := g.Open(t.Context(), "popen//id=b")
	check(t, err)
	gw, err := g.Open(t.Context(), "net=there//via=b//id=far")
	check(t, err)
	if got, err := pid.Call(t.Context(), gw, struct{}{}); err != nil || got != gw.Info().Pid {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := g.Open(t.Context(), "net=none//via=b"); !errors.Is(err, gateway.ErrNoNetwork) {
		t.Errorf("a network that is not there: %v", err)
	}
	// and a host of a network is one that others go through
	_, err = g.Open(t.Context(), "popen//via=far//id=beyond")
	check(t, err)
}

// Who speaks another version is told which; who speaks something else learns nothing.
func TestOtherVersions(t *testing.T) {
	world(t)
	start(t, "mynet")
	conn, err := netsock.Dial(t.Context(), "mynet")
	check(t, err)
	defer conn.Close()
	check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = conn.Write([]byte("\x00xdist network\n\x00\x63more"))
	check(t, err)
	answer := make([]byte, 64)
	k, err := conn.Read(answer)
	if err != nil || string(answer[:k]) != "\x00xdist network\n\x00\x01" {
		t.Errorf("answer %q, %v", answer[:k], err)
	}

	ln, err := netsock.Listen("newer")
	check(t, err)
	defer ln.Release()
	go func() { // ends with the connection
		if conn, err := ln.Accept(); err == nil {
			conn.Write([]byte("\x00xdist network\n\x00\x63"))
			conn.Close()
		}
	}()
	_, err = gateway.Connect(t.Context(), "newer")
	if v, ok := errors.AsType[*gateway.VersionError](err); !ok || v.Theirs != 0x63 || !strings.Contains(err.Error(), "start it anew") {
		t.Errorf("a newer network: %v", err)
	}
}

// A network has hosts of another one, and hosts that are reached through those.
func TestNetworkOfNetworks(t *testing.T) {
	world(t)
	start(t, "near", "popen//id=b")
	start(t, "far", "net=near//host=b//id=b", "popen//via=b//id=c")
	g := group(t)
	n := connect(t, g, "far")
	gw, err := n.Open(t.Context(), gateway.OnHost("c"))
	check(t, err)
	if got, err := pid.Call(t.Context(), gw, struct{}{}); err != nil || got != gw.Info().Pid {
		t.Errorf("%d, %v", got, err)
	}
	if st := status(t, connect(t, g, "near")); st.Hosts[0].Users != 1 {
		t.Errorf("the near network counts %d programs, want the relay of the far one", st.Hosts[0].Users)
	}
}

// The agent is brought to a host once, and again when what is there is damaged. Gateways that are
// opened at once bring one.
func TestNetworkBringsTheAgent(t *testing.T) {
	dir := world(t)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	start(t, "mynet", "popen//id=a")
	var said lockedText
	g := gateway.NewGroup(gateway.Config{Logger: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	t.Cleanup(func() { check(t, g.Close()) })
	uploads := func() int { return strings.Count(said.String(), "upload agent") }
	if _, err := g.OpenAll(t.Context(), "4*net=mynet"); err != nil || uploads() != 1 {
		t.Fatalf("%v, %d uploads, want 1", err, uploads())
	}
	if _, err := g.Open(t.Context(), "net=mynet//env:A=it's//nice=1"); err != nil || uploads() != 1 {
		t.Errorf("the next one: %v, %d uploads", err, uploads())
	}
	agents, err := filepath.Glob(filepath.Join(dir, "cache", "xdist", "agents", "*", "xdist"))
	if err != nil || len(agents) != 1 {
		t.Fatal(agents, err)
	}
	check(t, os.Remove(agents[0]))
	check(t, os.WriteFile(agents[0], []byte("#!/bin/sh\nexit 3\n"), 0o700))
	if _, err := g.Open(t.Context(), "net=mynet"); err != nil || uploads() != 2 {
		t.Errorf("a file of another size: %v, %d uploads", err, uploads())
	}
	info, err := os.Stat(agents[0])
	check(t, err)
	check(t, os.Remove(agents[0]))
	check(t, os.WriteFile(agents[0], append([]byte("#!/bin/sh\nexit 3\n"), make([]byte, info.Size()-17)...), 0o700))
	if _, err := g.Open(t.Context(), "net=mynet"); err != nil || uploads() != 3 {
		t.Errorf("a file of the same size: %v, %d uploads", err, uploads())
	}
}

// A program that needs libraries which the host does not have is told from others that do not
// start. The first attempt, in the hope that it is there, does not hide it.
func TestNetworkHostWithoutLibraries(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", world(t))
	start(t, "mynet", "popen//id=a")
	for status, want := range map[string]bool{"127": true, "3": false} { // 127 is a dynamic linker's
		text := []byte("#!/bin/sh\nexit " + status + "\n")
		sum := sha256.Sum256(text)
		a := gateway.Agent{Path: filepath.Join(t.TempDir(), "program"), Digest: hex.EncodeToString(sum[:])}
		check(t, os.WriteFile(a.Path, text, 0o700))
		g := gateway.NewGroup(gateway.Config{Agent: func(context.Context, string, string) (gateway.Agent, error) { return a, nil }})
		t.Cleanup(func() { check(t, g.Close()) })
		for range 2 { // it is brought there, and then found there
			_, err := g.Open(t.Context(), "net=mynet")
			if err == nil || strings.Contains(err.Error(), "needs shared libraries") != want {
				t.Errorf("exit status %s: %v", status, err)
			}
		}
	}
}

// lockedText is what several goroutines write.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// An opening ends with its context, also when the relay there is stopped and says nothing; the
// network goes on.
func TestOpenOnAHostThatIsStopped(t *testing.T) {
	world(t)
	start(t, "mynet", "popen//id=a", "popen//id=b")
	g := group(t)
	n := connect(t, g, "mynet")
	relay := status(t, n).Hosts[0].Info.Pid
	check(t, syscall.Kill(relay, syscall.SIGSTOP))
	defer syscall.Kill(relay, syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if gw, err := n.Open(ctx, gateway.OnHost("a")); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
		t.Errorf("%v, %v, after %v", gw, err, time.Since(began))
	}
	gw, err := n.Open(t.Context(), gateway.OnHost("b"))
	check(t, err)
	_, err = pid.Call(t.Context(), gw, struct{}{})
	check(t, err)
	check(t, syscall.Kill(relay, syscall.SIGCONT))
	eventually(t, "nothing is left of the opening", func() bool { return status(t, n).Hosts[0].Users == 0 })
}

// Gateways that come and go leave no file open and nothing running.
func TestNetworkLeavesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: open files are counted in /proc")
	}
	world(t)
	start(t, "mynet", "popen//id=a")
	g := group(t)
	n := connect(t, g, "mynet")
	relay := status(t, n).Hosts[0].Info.Pid
	count := func() int {
		total := 0
		for _, of := range []string{"self", strconv.Itoa(relay)} {
			files, err := os.ReadDir("/proc/" + of + "/fd")
			check(t, err)
			total += len(files)
		}
		return total
	}
	round := func() {
		gw, err := n.Open(t.Context())
		check(t, err)
		gw.Exit()
		<-gw.Done()
		eventually(t, "it is not counted", func() bool { return status(t, n).Hosts[0].Users == 0 })
	}
	round()
	before := count()
	for range 10 {
		round()
	}
	eventually(t, "no more files are open than before", func() bool { return count() <= before })
}

// BenchmarkCall is a call's round trip, by popen and through a network.
func BenchmarkCall(b *testing.B) {
	dir, err := os.MkdirTemp("", "net")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b.Setenv("XDG_RUNTIME_DIR", dir)
	ctx, cancel := context.WithCancel(context.Background())
	readyc, endc := make(chan struct{}), make(chan error, 1)
	go func() {
		endc <- Run(ctx, Config{Name: "n", Specs: []string{"popen"}, HostsWait: time.Minute, Ready: func(gateway.NetworkStatus) { close(readyc) }})
	}()
	defer func() {
		cancel()
		if err := <-endc; err != nil {
			b.Error(err)
		}
	}()
	<-readyc
	for _, spec := range []string{"popen", "net=n"} {
		b.Run(spec, func(b *testing.B) {
			g := gateway.NewGroup(gateway.Config{})
			defer g.Close()
			gw, err := g.Open(ctx, spec)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := pid.Call(ctx, gw, struct{}{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

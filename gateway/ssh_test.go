//go:build unix

package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/sshd"
)

// uploadCount is a slog.Handler that counts uploads of agents.
type uploadCount struct{ n atomic.Int64 }

func (c *uploadCount) Enabled(context.Context, slog.Level) bool { return true }
func (c *uploadCount) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *uploadCount) WithGroup(string) slog.Handler            { return c }
func (c *uploadCount) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "upload agent" {
		c.n.Add(1)
	}
	return nil
}

// countingGroup is a group whose uploads are counted.
func countingGroup(t *testing.T) (*gateway.Group, *uploadCount) {
	count := &uploadCount{}
	cfg := config()
	cfg.Logger = slog.New(count)
	return newGroup(t, cfg), count
}

// wantEcho checks that the gateway works.
func wantEcho(t *testing.T, gw *gateway.Gateway) {
	t.Helper()
	c := remoteExec(t, gw, "echo", nil)
	want := "through " + gw.ID()
	send(t, c, want)
	if got := receive[string](t, c); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// openAll opens n gateways at once.
func openAll(t *testing.T, g *gateway.Group, text string, n int) []*gateway.Gateway {
	t.Helper()
	gws := make([]*gateway.Gateway, n)
	errs := make([]error, n)
	var opening sync.WaitGroup
	for i := range n {
		opening.Go(func() { gws[i], errs[i] = g.OpenSpec(t.Context(), spec(t, text)) })
	}
	opening.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return gws
}

// TestSSH plays what needs no server of its own on one; the agent is uploaded to it once for all.
func TestSSH(t *testing.T) {
	s := sshd.Start(t, sshd.Options{})
	t.Run("one upload for many gateways and runs", func(t *testing.T) {
		g, count := countingGroup(t)
		for _, gw := range openAll(t, g, s.Spec(), 3) {
			wantEcho(t, gw)
		}
		if n := count.n.Load(); n != 1 {
			t.Errorf("%d uploads in the first run, want 1", n)
		}
		g, count = countingGroup(t)
		wantEcho(t, openIn(t, g, s.Spec()))
		if n := count.n.Load(); n != 0 {
			t.Errorf("%d uploads in the second run, want none", n)
		}
	})
	t.Run("twelve gateways share two connections", func(t *testing.T) {
		before := strings.Count(s.Log(), "Accepted publickey")
		for _, gw := range openAll(t, newGroup(t, config()), s.Spec(), 12) {
			wantEcho(t, gw)
		}
		if n := strings.Count(s.Log(), "Accepted publickey") - before; n != 2 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("how the agent ended", func(t *testing.T) { sshEnds(t, s) })
	t.Run("nothing outlives the gateway", func(t *testing.T) { sshLeavesNothing(t, s) })
	t.Run("a connection that is cut", func(t *testing.T) { sshCut(t, s) })
	t.Run("settings of the process", func(t *testing.T) { sshSettings(t, s) })
	t.Run("noise of the agent", func(t *testing.T) { // conformance 38
		gw := open(t, s.Spec())
		if n := receive[int](t, remoteExec(t, gw, "noise", nil)); n != 0 {
			t.Errorf("the handler has read %d bytes of the protocol", n)
		}
		wantEcho(t, gw)
	})
	t.Run("count processors", func(t *testing.T) {
		g := newGroup(t, config())
		n, err := g.CountCPUs(t.Context(), spec(t, s.Spec()))
		if err != nil || n != gateway.UsableCPUs() {
			t.Errorf("%d processors, %v; want %d", n, err, gateway.UsableCPUs())
		}
		if gw := openIn(t, g, s.Spec()); gw.ID() != "gw0" {
			t.Errorf("counting has taken an id: the first gateway is %s", gw.ID())
		}
	})
	t.Run("options in the spec", func(t *testing.T) { // conformance 4
		options := "-F none -o UserKnownHostsFile=" + s.KnownHosts + " -i " + s.Key + " -o IdentityAgent=none "
		for _, text := range []string{
			"ssh=" + options + s.User + "@" + s.Addr(),
			"ssh=" + options + "-p " + s.Port + " -l " + s.User + " " + s.Host,
		} {
			wantEcho(t, open(t, text))
		}
	})
	t.Run("a damaged agent is replaced", func(t *testing.T) { sshDamaged(t, s) })
}

// sshEnds checks what is known about agents that end by themselves: conformance 70, 71.
func sshEnds(t *testing.T, s *sshd.Server) {
	for _, c := range []struct {
		status string
		end    func(t *testing.T, gw *gateway.Gateway)
	}{
		{"exit status 3", func(t *testing.T, gw *gateway.Gateway) { remoteExec(t, gw, "exit", 3) }},
		{"signal: killed", func(t *testing.T, gw *gateway.Gateway) {
			if err := syscall.Kill(gw.Info().Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		gw := open(t, s.Spec())
		blocked := remoteExec(t, gw, "sleeper", nil)
		sleeper := receive[int](t, blocked)
		start := time.Now()
		c.end(t, gw)
		err := blocked.Receive(t.Context(), new(any))
		var lost *gateway.LostError
		if !errors.As(err, &lost) || lost.Status != c.status {
			t.Errorf("got %v, want a LostError with %s", err, c.status)
		}
		if d := time.Since(start); d > prompt {
			t.Errorf("woke after %v", d)
		}
		<-gw.Done()
		awaitGone(t, sleeper)
	}
}

// sshLeavesNothing is conformance 42 and 45 over ssh.
func sshLeavesNothing(t *testing.T, s *sshd.Server) {
	for _, handler := range []string{"sleeper", "deaf"} {
		g := newGroup(t, config())
		gw := openIn(t, g, s.Spec())
		pid := receive[int](t, remoteExec(t, gw, handler, nil))
		start := time.Now()
		if err := g.Terminate(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > prompt {
			t.Errorf("%s: Terminate took %v", handler, d)
		}
		awaitGone(t, pid)
		awaitGone(t, gw.Info().Pid)
	}
}

// sshCut kills the sshd of the session.
func sshCut(t *testing.T, s *sshd.Server) {
	gw := open(t, s.Spec())
	c := remoteExec(t, gw, "block", nil)
	receive[string](t, c)
	parent, err := exec.Command("ps", "-o", "ppid=", "-p", fmt.Sprint(gw.Info().Pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	fmt.Sscan(string(parent), &pid)
	start := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err = c.Receive(t.Context(), new(any))
	var lost *gateway.LostError
	if !errors.As(err, &lost) {
		t.Errorf("got %v, want a LostError", err)
	}
	if d := time.Since(start); d > prompt {
		t.Errorf("woke after %v", d)
	}
	awaitGone(t, gw.Info().Pid) // by end of file
}

func sshSettings(t *testing.T, s *sshd.Server) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	gw := open(t, s.Spec()+`//env:A=it's "$HOME" \ `+"\n"+`!x//env:B.C=odd//env:LD_PRELOAD=//nice=5//chdir=`+dir)
	if got, want := receive[string](t, remoteExec(t, gw, "getenv", "A")), `it's "$HOME" \ `+"\n!x"; got != want { // conformance 8
		t.Errorf("got %q, want %q", got, want)
	}
	if got := receive[string](t, remoteExec(t, gw, "getenv", "B.C")); got != "odd" {
		t.Errorf("got %q", got)
	}
	if got := receive[string](t, remoteExec(t, gw, "getwd", nil)); got != dir { // conformance 28
		t.Errorf("in %q, want %q", got, dir)
	}
	if plain := open(t, s.Spec()); gw.Info().Niceness != plain.Info().Niceness+5 { // conformance 30
		t.Errorf("niceness %d and %d", gw.Info().Niceness, plain.Info().Niceness)
	}
}

// sshDamaged changes the cached agent without changing its size.
func sshDamaged(t *testing.T, s *sshd.Server) {
	file := open(t, s.Spec()).Info().Executable
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append(make([]byte, 4096), content[4096:]...)
	if err := os.Remove(file); err != nil { // it may be busy
		t.Fatal(err)
	}
	if err := os.WriteFile(file, damaged, 0o700); err != nil {
		t.Fatal(err)
	}
	g, count := countingGroup(t)
	wantEcho(t, openIn(t, g, s.Spec()))
	if n := count.n.Load(); n != 1 {
		t.Errorf("%d uploads, want 1", n)
	}
}

// wantPhase checks that opening fails in a phase with an error that has all of the texts.
func wantPhase(t *testing.T, text string, phase gateway.Phase, parts ...string) error {
	t.Helper()
	_, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, text))
	var p *gateway.PhaseError
	if !errors.As(err, &p) || p.Phase != phase {
		t.Errorf("%s: got %v, want an error of phase %s", text, err, phase)
		return err
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v: want %q in it", text, err, part)
		}
	}
	return err
}

func TestSSHThatFails(t *testing.T) {
	s := sshd.Start(t, sshd.Options{})
	dir := t.TempDir()
	file := func(name, content string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	t.Run("unresolvable", func(t *testing.T) { // conformance 33
		err := wantPhase(t, "ssh=no-such-host.invalid", gateway.PhaseResolve, "no-such-host.invalid")
		if !errors.Is(err, gateway.ErrHostNotFound) {
			t.Errorf("%v is not ErrHostNotFound", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		gone := sshd.Start(t, sshd.Options{})
		gone.Stop()
		wantPhase(t, gone.Spec(), gateway.PhaseConnect, "refused")
	})
	t.Run("no ssh server", func(t *testing.T) {
		wantPhase(t, "ssh=-o ConnectTimeout=1 "+silentServer(t)+"//ssh_config=none", gateway.PhaseConnect)
	})
	strange := "-F none -i " + s.Key + " " + s.User + "@" + s.Addr()
	t.Run("unknown host key", func(t *testing.T) {
		wantPhase(t, "ssh=-o UserKnownHostsFile="+file("empty", "")+" "+strange, gateway.PhaseHostKey,
			"is not known", "SHA256:", "ssh-keyscan -p "+s.Port)
	})
	other := sshd.Start(t, sshd.Options{})
	t.Run("changed host key", func(t *testing.T) {
		known, err := os.ReadFile(other.KnownHosts)
		if err != nil {
			t.Fatal(err)
		}
		wrong := file("wrong", strings.ReplaceAll(string(known), other.Port, s.Port))
		for _, strict := range []string{"yes", "no", "accept-new"} {
			wantPhase(t, "ssh=-o StrictHostKeyChecking="+strict+" -o UserKnownHostsFile="+wrong+" "+strange, gateway.PhaseHostKey,
				"is not the one in "+wrong+" line 1", "ssh-keygen -R", "listens in")
		}
	})
	t.Run("changed kind of host key", func(t *testing.T) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public, err := ssh.NewPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		ecdsa := file("ecdsa", knownhosts.Line([]string{s.Addr()}, public)+"\n")
		wantPhase(t, "ssh=-o UserKnownHostsFile="+ecdsa+" "+strange, gateway.PhaseHostKey, "none of the kinds of key", "ssh-keygen -R")
	})
	t.Run("wrong key", func(t *testing.T) { // conformance 34
		wantPhase(t, "ssh=-F none -o IdentityAgent=none -o UserKnownHostsFile="+s.KnownHosts+" -i "+other.Key+" "+s.User+"@"+s.Addr(),
			gateway.PhaseAuth, "Permission denied", "SHA256:")
	})
	t.Run("no key", func(t *testing.T) {
		wantPhase(t, "ssh=-F none -o IdentityAgent=none -o UserKnownHostsFile="+s.KnownHosts+" -i "+dir+"/none "+s.User+"@"+s.Addr(),
			gateway.PhaseAuth, "Permission denied", dir+"/none: no such file")
	})
	t.Run("127", func(t *testing.T) { // conformance 34
		poor := sshd.Start(t, sshd.Options{Lines: []string{"ForceCommand no-such-program"}})
		wantPhase(t, poor.Spec(), gateway.PhaseProbe, "exit status 127", "no-such-program")
	})
}

func TestSSHSessionLimits(t *testing.T) {
	for _, limit := range []int{1, 3} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			s := sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}, Lines: []string{fmt.Sprintf("MaxSessions %d", limit)}})
			for _, gw := range openAll(t, newGroup(t, config()), s.Spec(), 5) {
				wantEcho(t, gw)
			}
		})
	}
}

func TestSSHLoginShells(t *testing.T) {
	home := t.TempDir()
	for _, rc := range []string{".bashrc", ".profile", ".cshrc", ".tcshrc", ".zshenv", ".config/fish/config.fish"} {
		name := filepath.Join(home, rc)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("echo welcome, and mind the stairs\nprintf no-newline\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	banner := filepath.Join(home, "banner")
	if err := os.WriteFile(banner, []byte("no trespassing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"", "sh", "bash", "dash", "busybox sh", "csh", "tcsh", "fish", "zsh"} {
		t.Run("shell "+shell, func(t *testing.T) {
			t.Parallel()
			if shell != "" {
				if _, err := exec.LookPath(strings.Fields(shell)[0]); err != nil {
					t.Skipf("skipped: %v", err)
				}
			}
			s := sshd.Start(t, sshd.Options{Home: home, Env: []string{"XDG_CACHE_HOME=" + cacheHome}, Shell: shell, Lines: []string{"Banner " + banner}})
			wantEcho(t, open(t, s.Spec()))
		})
	}
}

func TestSSHJumps(t *testing.T) {
	first := sshd.Start(t, sshd.Options{Name: "first"})
	second := sshd.Start(t, sshd.Options{Name: "second", Jump: first})
	third := sshd.Start(t, sshd.Options{Name: "third", Jump: second, Env: []string{"XDG_CACHE_HOME=" + cacheHome}})
	wantEcho(t, open(t, third.Spec()))
	for _, s := range []*sshd.Server{first, second, third} {
		if n := strings.Count(s.Log(), "Accepted publickey"); n != 1 {
			t.Errorf("%d logins at %s, want 1", n, s.Name)
		}
	}
	wantEcho(t, open(t, "ssh=-F "+third.Config+" -J first,second third//ssh_config=not-read"))
}

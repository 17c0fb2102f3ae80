//go:build unix

package gateway_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/sshd"
)

// mount mounts a small file system and returns its directory.
func mount(t *testing.T, options string) string {
	t.Helper()
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("skipped: only Linux's root can mount a file system for it")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=700,"+options, "none", dir).CombinedOutput(); err != nil {
		t.Skipf("skipped: file systems cannot be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	return dir
}

// TestBootstrapHomes plays homes in which no agent can be kept, beside a runtime directory in which
// it can.
func TestBootstrapHomes(t *testing.T) {
	for _, c := range []struct {
		name string
		home func(t *testing.T) string
	}{
		{"noexec", func(t *testing.T) string { return mount(t, "noexec") }},
		{"full", func(t *testing.T) string { return mount(t, "size=1m") }},
		{"read-only", func(t *testing.T) string {
			dir := mount(t, "size=1m")
			if err := exec.Command("mount", "-o", "remount,ro", dir).Run(); err != nil {
				t.Skipf("skipped: %v", err)
			}
			return dir
		}},
		{"missing", func(t *testing.T) string { return filepath.Join(t.TempDir(), "none") }},
		{"open to others", func(t *testing.T) string {
			home := t.TempDir()
			if err := os.MkdirAll(home+"/.cache/xdist", 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(home+"/.cache/xdist", 0o777); err != nil {
				t.Fatal(err)
			}
			return home
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home, run := c.home(t), t.TempDir()
			s := sshd.Start(t, sshd.Options{Home: home, Env: []string{"XDG_RUNTIME_DIR=" + run}})
			gw := open(t, s.Spec())
			wantEcho(t, gw)
			if !strings.HasPrefix(gw.Info().Executable, run+"/xdist/") {
				t.Errorf("the agent is %s", gw.Info().Executable)
			}
			if left, _ := filepath.Glob(home + "/.cache/xdist/agents/*/*"); len(left) > 0 {
				t.Errorf("left in the home: %q", left)
			}
			g, count := countingGroup(t)
			openIn(t, g, s.Spec())
			if n := count.n.Load(); n != 0 {
				t.Errorf("%d uploads the second time", n)
			}
		})
	}
}

// TestBootstrapRemovesLeftovers finds the rest of an upload that was killed, and leaves one alone
// that is going on.
func TestBootstrapRemovesLeftovers(t *testing.T) {
	s := sshd.Start(t, sshd.Options{})
	dir := filepath.Join(s.Home, ".cache", "xdist", "agents", "0123")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	old, fresh := filepath.Join(dir, ".up-1"), filepath.Join(dir, ".up-2")
	for _, name := range []string{old, fresh} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	open(t, s.Spec())
	if _, err := os.Stat(old); err == nil {
		t.Error("the old one is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error(err)
	}
}

// TestBootstrapRemovesTheOld has an agent come to where others are: one that nobody has started for
// a month goes.
func TestBootstrapRemovesTheOld(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	past := time.Now().Add(-32 * 24 * time.Hour)
	for _, name := range []string{"old/.used", "old/xdist", "new/.used", "new/xdist", "strange/xdist"} {
		name = filepath.Join(cache, "xdist", "agents", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(name, "/new/") {
			if err := os.Chtimes(name, past, past); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(filepath.Join(cache, "xdist"), 0o700); err != nil {
		t.Fatal(err)
	}
	gw := open(t, "cmd=sh")
	used := filepath.Join(filepath.Dir(gw.Info().Executable), ".used")
	if err := os.Chtimes(used, past, past); err != nil {
		t.Fatal(err)
	}
	open(t, "cmd=sh")
	if info, err := os.Stat(used); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("its last use is %v, %v", info.ModTime(), err)
	}
	for name, want := range map[string]bool{"old": false, "new": true, "strange": true} {
		if _, err := os.Stat(filepath.Join(cache, "xdist", "agents", name)); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", name, err == nil, want)
		}
	}
}

func TestCmd(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, shell := range []string{"sh", "dash", "bash", "busybox sh", "zsh", "sh -c 'echo hello; exec sh'"} {
		t.Run(shell, func(t *testing.T) {
			program := strings.Fields(shell)[0]
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("skipped: %v", err)
			}
			gw := open(t, "cmd="+shell)
			wantEcho(t, gw)
			if self, err := os.Executable(); err != nil || gw.Info().Executable == self {
				t.Errorf("the agent is %s: it was not put there (%v)", gw.Info().Executable, err)
			}
		})
	}
	t.Run("an agent", func(t *testing.T) {
		gw := open(t, "cmd="+os.Args[0]+" "+agentRole)
		wantEcho(t, gw)
		if self, err := os.Executable(); err != nil || gw.Info().Executable != self {
			t.Errorf("the agent is %s, want %s (%v)", gw.Info().Executable, self, err)
		}
	})
	t.Run("ssh", func(t *testing.T) {
		if _, err := exec.LookPath("ssh"); err != nil {
			t.Skipf("skipped: %v", err)
		}
		s := sshd.Start(t, sshd.Options{})
		wantEcho(t, open(t, "cmd=ssh -F "+s.Config+" box sh"))
	})
	for _, c := range []struct {
		command string
		phase   gateway.Phase
		parts   []string
	}{
		{"sh -c 'echo out of paper >&2; exit 3'", gateway.PhaseProbe, []string{"exit status 3", "out of paper"}},
		{"no-such-program", gateway.PhaseStart, []string{"no-such-program"}},
		{"sh -c 'echo xdist-shell-is-ready; read x; exit 4'", gateway.PhaseProbe, []string{"exit status 4"}},
	} {
		wantPhase(t, "cmd="+c.command, c.phase, c.parts...)
	}
	if _, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, "cmd=sh 'x")); err == nil || !strings.Contains(err.Error(), "quote") {
		t.Errorf("got %v", err)
	}
}

// TestBootstrapInterrupted ends the opening while the shell waits for the agent.
func TestBootstrapInterrupted(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	cfg := config()
	ctx, cancel := context.WithCancel(t.Context())
	cfg.Agent = func(context.Context, string, string) (gateway.Agent, error) {
		cancel()
		return gateway.Agent{Path: os.Args[0], Digest: "0123"}, nil
	}
	_, err := newGroup(t, cfg).OpenSpec(ctx, spec(t, "cmd=sh"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(cache + "/xdist/agents/*/*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestBootstrapWrongDigest is about an agent whose bytes are not what its digest says.
func TestBootstrapWrongDigest(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cfg := config()
	cfg.Agent = func(context.Context, string, string) (gateway.Agent, error) {
		return gateway.Agent{Path: "/bin/true", Digest: strings.Repeat("0", 64)}, nil
	}
	_, err := newGroup(t, cfg).OpenSpec(t.Context(), spec(t, "cmd=sh"))
	var p *gateway.PhaseError
	if !errors.As(err, &p) || p.Phase != gateway.PhaseUpload || !strings.Contains(err.Error(), "digest") {
		t.Errorf("got %v", err)
	}
}

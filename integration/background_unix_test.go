//go:build unix

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServeInTheBackground starts a server that outlives its command, asks for it, kills it, and
// ends it.
func TestServeInTheBackground(t *testing.T) {
	cache := t.TempDir()
	env := []string{"XDIST_CACHE=" + cache, "XDG_CACHE_HOME=" + cache}
	key := filepath.Join(t.TempDir(), "team.key")
	serve := func(wantStatus int, want string, args ...string) []string {
		t.Helper()
		r := command(t, t.TempDir(), env, xdist(t), append([]string{"serve"}, args...)...)
		m := regexp.MustCompile(want).FindStringSubmatch(r.stdout + r.stderr)
		if r.status != wantStatus || m == nil {
			t.Fatalf("serve %q: status %d, stdout %q, stderr %q; want status %d and %q", args, r.status, r.stdout, r.stderr, wantStatus, want)
		}
		return m
	}
	status := func() ended { return command(t, ".", env, xdist(t), "serve", "--status") }
	if r := command(t, ".", nil, xdist(t), "keygen", key); r.status != 0 {
		t.Fatal(r.stderr)
	}
	const none = "no server of this user runs in the background"
	start := []string{"--start", "--listen", "127.0.0.1:0", "--key", key}
	defer command(t, ".", env, xdist(t), "serve", "--stop") // whatever has come of it
	serve(5, none, "--status")
	serve(5, none, "--stop")

	m := serve(0, `^xdist: serving on (\S+) for the key with fingerprint \w+, pid (\d+)\n$`, start...)
	addr, pid := m[1], m[2]
	serve(0, `^xdist: serving: pid `+pid+` on `+addr+` for the key .*, since .*, 0 gateways\n$`, "--status")
	serve(5, `runs in the background already: pid `+pid+` on `+addr+` .*serve --stop`, start...)
	gw := openGateway(t, "socket="+addr+"//key="+key)
	serve(0, `, 1 gateway\n$`, "--status")
	serve(0, `^$`, "--status", "--quiet")

	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(number, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-gw.Done()
	awaitProcessGone(t, number)
	late := time.Now().Add(10 * time.Second)
	for r := status(); r.status == 0; r = status() { // its last thread still holds the lock
		if time.Now().After(late) {
			t.Fatalf("a server that was killed is said to be %s", r.stdout)
		}
	}
	serve(5, none, "--status")
	serve(0, `^$`, append(start, "--quiet")...)
	m = serve(0, `pid (\d+) on (\S+) `, "--status")
	pid, addr = m[1], m[2]
	gw = openGateway(t, "socket="+addr+"//key="+key)
	began := time.Now()
	serve(0, `^xdist: stopped the server with pid `+pid+`\n$`, "--stop")
	if d := time.Since(began); d > 15*time.Second {
		t.Errorf("it took %v to end", d)
	}
	<-gw.Done()
	awaitProcessGone(t, gw.Info().Pid)
	serve(5, none, "--stop")

	serve(5, `start a server: .*no.key`, "--start", "--listen", "127.0.0.1:0", "--key", "no.key")
	serve(5, `start a server: .*no-such-host.invalid`, "--start", "--listen", "no-such-host.invalid:0", "--key", key)
	serve(2, `--listen ADDRESS is missing`, "--start")
	serve(2, `--start and --stop cannot be combined`, "--start", "--stop")
	entries, err := os.ReadDir(filepath.Join(cache, "serve"))
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != "log" {
		t.Errorf("what is left: %s", got)
	}
}

package integration

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// TestNetworkOfServers has hosts that xdist serve leads to, with a key: runs use them, one whose
// server is killed is down with all that ran there, and is up again when its server is.
func TestNetworkOfServers(t *testing.T) {
	dir, err := os.MkdirTemp("", "net") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir) // of this program, too
	env := []string{"XDIST_CACHE=" + storeDir(t)}
	run := func(status int, args ...string) string {
		t.Helper()
		e := command(t, fixture(t, "platforms"), env, xdist(t), args...)
		if e.status != status {
			t.Fatalf("xdist %q: exit status %d, want %d\n%s%s", args, e.status, status, e.stdout, tail(e.stderr))
		}
		return e.stdout + e.stderr
	}
	key, otherKey := filepath.Join(dir, "team.key"), filepath.Join(dir, "other.key")
	run(0, "keygen", key)
	run(0, "keygen", otherKey)
	first, second := serve(t, "--key", key), serve(t, "--key", key)
	run(0, "net", "start", "team", "--wait", "3m", "--tx", "socket="+first.addr+"//key="+key+"//id=first", "--tx", "socket="+second.addr+"//key="+key+"//id=second")
	defer run(0, "net", "stop", "team")
	hosts := func() map[string]netHost {
		t.Helper()
		all := make(map[string]netHost)
		for _, h := range readNetState(t, run(0, "net", "status", "team", "--json")).Hosts {
			all[h.ID] = h
		}
		return all
	}
	if all := hosts(); len(all) != 2 || !all["first"].Up || !all["second"].Up {
		t.Fatalf("%+v", all)
	}
	if out := run(0, "net", "add", "team", "--wait", "3m", "socket="+first.addr+"//key="+otherKey+"//id=liar"); !strings.Contains(out, "liar  down") || !strings.Contains(out, "key") {
		t.Errorf("a host of another key: %s", out)
	}
	run(0, "net", "remove", "team", "liar")
	bothRun := func() {
		t.Helper()
		out := run(0, "exec", "--tx", "2*net=team", "--", "sh", "-c", "echo runs")
		if strings.Count(out, "runs") != 2 {
			t.Errorf("exec says %s", out)
		}
		if used := hosts(); used["first"].Users != 0 || used["second"].Users != 0 {
			eventually(t, "no program is left", 30*time.Second, func() bool { return hosts()["first"].Users+hosts()["second"].Users == 0 })
		}
		out = run(0, "--tx", "2*net=team", "-run", "TestPlatform", "-v", "./endian")
		if !strings.Contains(out, "PASS") {
			t.Errorf("the run says %s", out)
		}
	}
	bothRun()

	g := gateway.NewGroup(gateway.Config{Command: []string{xdist(t), "agent"}})
	t.Cleanup(func() { g.Close() })
	n, err := g.Connect(t.Context(), "team")
	if err != nil {
		t.Fatal(err)
	}
	gw, err := n.Open(t.Context(), gateway.OnHost("first"))
	if err != nil {
		t.Fatal(err)
	}
	relay := hosts()["first"].Pid
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.cmd.Wait() // it was killed
	<-gw.Done()
	if _, ok := errors.AsType[*gateway.LostError](gw.Err()); !ok {
		t.Errorf("what ran there has ended by %v", gw.Err())
	}
	awaitProcessGone(t, gw.Info().Pid)
	awaitProcessGone(t, relay)
	eventually(t, "the network says that nobody listens there", 30*time.Second, func() bool {
		h := hosts()["first"]
		return !h.Up && h.Lost == 1 && strings.Contains(h.Error, "refused")
	})
	if out := run(0, "exec", "--tx", "net=team", "--", "echo", "goes on"); !strings.Contains(out, "goes on") {
		t.Errorf("the other host: %s", out)
	}
	serveAt(t, first.addr, "--key", key)
	eventually(t, "the host is up again", time.Minute, func() bool { return hosts()["first"].Up })
	bothRun()
}

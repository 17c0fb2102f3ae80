package gateway_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// ended runs a source to its end and returns the process that has run it.
func ended(t *testing.T, gw *gateway.Gateway, source string) int {
	t.Helper()
	ch := runScript(t, gw, "import os; channel.send(os.getpid())\n"+source, nil)
	pid := receive[int](t, ch)
	if err := ch.WaitClose(t.Context()); err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return pid
}

// An interpreter runs one source after the other as long as none has left anything behind.
func TestScriptsShareAnInterpreter(t *testing.T) {
	needPython(t)
	if runtime.GOOS == "windows" {
		t.Skip("skipped: there each source has an interpreter of its own")
	}
	gw := open(t, "popen")
	first := ended(t, gw, "import json; mine = 1")
	for _, source := range []string{"", "channel.send('mine' in globals())", "for x in range(3): channel.send(x)"} {
		if pid := ended(t, gw, source); pid != first {
			t.Errorf("%q runs in process %d, not in %d", source, pid, first)
		}
	}
	// One that fails leaves nothing either, nor do items that nobody has received.
	ch := runScript(t, gw, "raise KeyError", nil)
	send(t, ch, "not for the next one")
	if err := ch.WaitClose(t.Context()); err == nil {
		t.Error("no error")
	}
	ch = runScript(t, gw, "import os; channel.send(os.getpid()); channel.send(channel.receive())", nil)
	send(t, ch, "for this one")
	if pid, text := receive[int](t, ch), receive[string](t, ch); pid != first || text != "for this one" {
		t.Errorf("process %d, not %d, has received %q", pid, first, text)
	}
	wantEnd(t, ch)
	// The end that the controller makes is one.
	ch = runScript(t, gw, "channel.send(1)\nfor x in channel: pass", nil)
	receive[int](t, ch)
	ch.Close()
	awaitRunning(t, gw)
	if pid := ended(t, gw, ""); pid != first {
		t.Errorf("after a channel was closed it is process %d, not %d", pid, first)
	}

	for _, source := range []string{
		"os.chdir('/')", "os.environ['X'] = 'y'", "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
		"import subprocess; subprocess.Popen(['sleep', '1000'])", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
		"import signal; signal.alarm(1000)", "os.umask(0)", "import sys; sys.stdout = sys.stderr", "import sys; sys.path.append('/')", "import atexit; atexit.register(print)",
	} {
		before := ended(t, gw, "")
		if ended(t, gw, source) != before {
			t.Errorf("%s does not run where the one before it did", source)
		}
		if ended(t, gw, "") == before {
			t.Errorf("what %s has left is there for the next source", source)
		}
	}
	awaitRunning(t, gw)
}

// Sources that run at the same time have a process each, and one that ends its own ends no other.
func TestScriptsAtTheSameTime(t *testing.T) {
	needPython(t)
	gw := open(t, "popen")
	pids := make(map[int]bool)
	var channels []*gateway.Channel
	for range 8 {
		ch := runScript(t, gw, "import os\nchannel.send(os.getpid())\nif channel.receive(): os._exit(3)\nchannel.send('well')", nil)
		pids[receive[int](t, ch)] = true
		channels = append(channels, ch)
	}
	if len(pids) != len(channels) {
		t.Errorf("%d processes", len(pids))
	}
	for i, ch := range channels {
		send(t, ch, i%2 == 0)
		if i%2 != 0 {
			if got := receive[string](t, ch); got != "well" {
				t.Errorf("got %q", got)
			}
			wantEnd(t, ch)
		} else if err := ch.WaitClose(t.Context()); err == nil || !strings.Contains(err.Error(), "python3 has ended before its source: exit status 3") {
			t.Errorf("got %v", err)
		}
	}
	awaitRunning(t, gw)

	cfg := config()
	cfg.FreshScripts = true
	gw = openIn(t, newGroup(t, cfg), "popen")
	if a, b := ended(t, gw, ""), ended(t, gw, ""); a == b {
		t.Errorf("two fresh scripts run in process %d", a)
	}
}

// A second interpreter is asked for by name, and its errors name it.
func TestScriptInterpreters(t *testing.T) {
	needPython(t)
	gw := open(t, "popen")
	plain := ended(t, gw, "")
	ch, err := gw.RunScript(t.Context(), "python3 -I", "import os, sys; channel.send([os.getpid(), sys.flags.isolated])", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := receive[[]int](t, ch); len(got) != 2 || got[0] == plain || got[1] != 1 {
		t.Errorf("got %v", got)
	}
	wantEnd(t, ch)
	ch, err = gw.RunScript(t.Context(), "false", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.WaitClose(t.Context()); err == nil || !strings.Contains(err.Error(), "false has ended before its source: exit status 1") {
		t.Errorf("got %v", err)
	}
	gw.Exit()
	if _, err := gw.RunScript(t.Context(), "", "", nil); !errors.Is(err, gateway.ErrExited) {
		t.Errorf("got %v", err)
	}
}

// An interpreter that reads nothing does not keep its handler when the channel is closed.
func TestScriptThatIsNotRead(t *testing.T) {
	gw := open(t, "popen")
	for _, source := range []string{"", "#" + strings.Repeat(" ", 8<<20)} {
		ch, err := gw.RunScript(t.Context(), "sleep 1000 #", source, nil) // which sleep takes for an error
		if err != nil {
			t.Fatal(err)
		}
		if err := ch.WaitClose(t.Context()); err == nil || !strings.Contains(err.Error(), "has ended before its source") {
			t.Errorf("got %v", err)
		}
		if ch, err = gw.RunScript(t.Context(), "perl -e sleep(1000)", source, nil); err != nil {
			t.Fatal(err)
		}
		awaitRunning(t, gw, "gateway/script")
		if err := ch.Close(); err != nil {
			t.Error(err)
		}
		awaitRunning(t, gw)
	}
}

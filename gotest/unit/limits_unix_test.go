//go:build unix

package unit

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKillTimer shows the end of a process that outlives its timeout.
func TestKillTimer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		test   string
		limits limits
		want   outcome
		output []string
	}{
		{
			"TestHang", limits{kill: 300 * time.Millisecond},
			outcome{Items: map[string]string{"TestHang": ""}, ExitCode: 2, Failed: true, TimedOut: true, Culprit: "TestHang"},
			[]string{"SIGQUIT: quit", "goroutine 1 ", "*** Test killed with quit: ran too long (300ms).\n"},
		},
		{
			"TestHangIgnoringQuit", limits{kill: 300 * time.Millisecond, waitDelay: 100 * time.Millisecond},
			outcome{Items: map[string]string{"TestHangIgnoringQuit": ""}, ExitCode: -1, Signal: "killed", Failed: true, TimedOut: true, Culprit: "TestHangIgnoringQuit"},
			[]string{"hanging on\n", "*** Test killed with quit: ran too long (300ms).\nsignal: killed\n"},
		},
	} {
		t.Run(tt.test, func(t *testing.T) {
			t.Parallel()
			res, rec := runWith(t, fixture(t, "moody", "^"+tt.test+"$"), short(tt.limits))
			if diff := cmp.Diff(tt.want, outcomeOf(res)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			for _, want := range tt.output {
				if got := rec.output(tt.test); !strings.Contains(got, want) {
					t.Errorf("output %q, want %q in it", got, want)
				}
			}
		})
	}
}

// TestLimitsOfGoTest holds the waits against the rules of cmd/go.
func TestLimitsOfGoTest(t *testing.T) {
	for _, tt := range []struct {
		timeout         time.Duration
		arg             string
		kill, waitDelay time.Duration
	}{
		{10 * time.Minute, "", 11 * time.Minute, time.Minute},
		{10 * time.Second, "", 70 * time.Second, 5 * time.Second},
		{time.Hour, "-test.bench=", 66 * time.Minute, 6 * time.Minute},
		{time.Hour, "-test.bench=.", 0, 0},
		{time.Hour, "-test.fuzz=FuzzX", 0, 0},
		{0, "", 0, 0},
	} {
		l := newRun(Unit{Timeout: tt.timeout, Args: []string{tt.arg}}, nil).limits
		if l.kill != tt.kill || l.waitDelay != tt.waitDelay {
			t.Errorf("timeout %v, %s: kill %v, wait delay %v, want %v, %v", tt.timeout, tt.arg, l.kill, l.waitDelay, tt.kill, tt.waitDelay)
		}
	}
}

// TestLeakedChild shows that a child that keeps the output open fails the process, and is killed.
func TestLeakedChild(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	childc := rec.await("child ")
	r := newRun(fixture(t, "moody", "TestLeakWithOutput"), rec.emit)
	r.limits = short(limits{waitDelay: 200 * time.Millisecond})
	res := r.run(t.Context())
	want := outcome{Items: map[string]string{"TestLeakWithOutput": "pass"}, Failed: true, Incomplete: true, Verdict: "PASS"}
	if diff := cmp.Diff(want, outcomeOf(res)); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	if got, want := rec.output(""), "PASS\n*** Test I/O incomplete 200ms after exiting.\nexec: WaitDelay expired before I/O complete\n"; got != want {
		t.Errorf("package output %q, want %q", got, want)
	}
	awaitGone(t, <-childc)
}

// TestSilentChildIsKilled shows that a child that nobody would notice does not outlive its test.
func TestSilentChildIsKilled(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	childc := rec.await("child ")
	if res := Run(t.Context(), fixture(t, "moody", "TestLeakSilently"), rec.emit); res.Failed {
		t.Errorf("result %+v, want a pass", res)
	}
	awaitGone(t, <-childc)
}

// TestDaemon shows that a process that has left the group holds nobody up for longer than the wait
// delay, and is not killed.
func TestDaemon(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	childc := rec.await("child ")
	r := newRun(fixture(t, "moody", "TestDaemon"), rec.emit)
	r.limits = short(limits{waitDelay: 200 * time.Millisecond, afterKill: 10 * time.Millisecond})
	res := r.run(t.Context())
	pid, err := strconv.Atoi(<-childc)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Incomplete || !res.Failed || res.Items["TestDaemon"].Action != "pass" {
		t.Errorf("result %+v", res)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill daemon: %v; want it to live", err)
	}
}

// TestCancel shows that the end of ctx ends the process and what it started, even when it ignores
// SIGINT.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ test, signal string }{
		{"TestHangWithChild", "interrupt"},
		{"TestHangWithChildIgnoringSignals", "killed"},
	} {
		t.Run(tt.test, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			rec := &recorder{}
			childc := rec.await("child ")
			r := newRun(fixture(t, "moody", "^"+tt.test+"$"), rec.emit)
			r.limits = short(limits{interrupt: 100 * time.Millisecond})
			resc := make(chan Result)
			go func() { resc <- r.run(ctx) }()
			pid := <-childc
			cancel()
			res := <-resc
			if !res.Interrupted || !res.Failed || res.Signal != tt.signal || res.Culprit != "" || res.Items[tt.test].Action != "" {
				t.Errorf("result %+v", res)
			}
			awaitGone(t, pid)
		})
	}
}

// awaitGone waits until a process has ended.
func awaitGone(t *testing.T, text string) {
	t.Helper()
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for giveUp := time.After(10 * time.Second); alive(pid); {
		select {
		case <-tick.C:
		case <-giveUp:
			t.Errorf("process %d is still there", pid)
			syscall.Kill(pid, syscall.SIGKILL)
			return
		}
	}
}

// alive reports whether a process runs. One that has ended and that nobody has waited for yet does
// not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		_, rest, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(rest, "Z")
	}
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// TestBusyExecutable shows that a binary that somebody still has open for writing is tried again.
func TestBusyExecutable(t *testing.T) {
	t.Parallel()
	u := fixture(t, "moody", "TestPass")
	text, err := os.ReadFile(u.Binary)
	if err != nil {
		t.Fatal(err)
	}
	u.Binary = filepath.Join(t.TempDir(), "busy.test")
	f, err := os.OpenFile(u.Binary, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
	tries := 0
	r := newRun(u, func([]event) {})
	r.start = func(cmd *exec.Cmd) error {
		err := cmd.Start()
		if tries++; tries == 3 {
			f.Close()
		}
		return err
	}
	if res := r.run(t.Context()); res.Failed || tries < 2 {
		t.Errorf("after %d tries: %+v", tries, res)
	}
}

// TestSlowEmit shows that a reader who takes longer than the wait delay loses nothing and fails
// nobody.
func TestSlowEmit(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	releasec := make(chan struct{})
	first := true
	r := newRun(fixture(t, "moody", "TestPass"), func(events []event) {
		if first {
			first = false
			<-releasec
		}
		rec.emit(events)
	})
	r.limits = short(limits{waitDelay: 200 * time.Millisecond})
	time.AfterFunc(time.Second, func() { close(releasec) })
	res := r.run(t.Context())
	if res.Failed || res.Items["TestPass"].Action != "pass" {
		t.Errorf("result %+v", res)
	}
}

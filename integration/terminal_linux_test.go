package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// screen is a terminal with an emulator behind it, which shows what a user would see.
type screen struct {
	*terminal
	vt  vt10x.Terminal
	dir string // by which the tests of testdata/terminal and this one tell each other things
	env []string
}

func newScreen(t *testing.T, cols, rows int) *screen {
	t.Helper()
	dir := t.TempDir()
	s := &screen{terminal: openTerminal(t), vt: vt10x.New(vt10x.WithSize(cols, rows)), dir: dir}
	s.env = []string{"CI=", "TERM=xterm", "NO_COLOR=1", "XDIST_CACHE=" + storeDir(t), "XDIST_NO_HISTORY=1", "TERMINAL_DIR=" + dir, "ENV=", "PS1=> "}
	s.resize(cols, rows)
	return s
}

func (s *screen) resize(cols, rows int) {
	s.t.Helper()
	s.vt.Resize(cols, rows)
	if err := pty.Setsize(s.ours, &pty.Winsize{Rows: uint16(rows), Cols: uint16(cols)}); err != nil {
		s.t.Fatal(err)
	}
}

// run starts xdist on testdata/terminal.
func (s *screen) run(args ...string) *exec.Cmd {
	s.t.Helper()
	return s.startIn("testdata/terminal", s.env, xdist(s.t), append([]string{"--tx", "2*popen", "--dist", "loadscope", "./..."}, args...)...)
}

// text is what is on the screen, without blanks at the ends of lines and of the whole.
func (s *screen) text() string {
	lines := strings.Split(s.vt.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// shows reads until the screen is as it is to be.
func (s *screen) shows(what string, is func(text string) bool) string {
	s.t.Helper()
	if err := s.ours.SetReadDeadline(time.Now().Add(screenWait)); err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		if text := s.text(); is(text) {
			return text
		}
		n, err := s.ours.Read(buf)
		s.vt.Write(buf[:n])
		s.terminal.screen += string(buf[:n])
		if err != nil {
			s.t.Fatalf("%s never came, the screen is\n%s\n%v", what, s.text(), err)
		}
	}
}

func (s *screen) showsText(text string) string {
	s.t.Helper()
	return s.shows(text, func(screen string) bool { return strings.Contains(screen, text) })
}

// drain shows all that comes until nobody has the terminal any more.
func (s *screen) drain() {
	s.t.Helper()
	s.theirs.Close()
	buf := make([]byte, 4096)
	for {
		n, err := s.ours.Read(buf)
		s.vt.Write(buf[:n])
		if err != nil {
			return
		}
	}
}

func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := s.ours.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// sign lets TestWaits go on.
func (s *screen) sign() {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// awaitFile waits for a file of the tests, and returns what is in it. Nothing of the terminal is
// read.
func (s *screen) awaitFile(name string) string {
	s.t.Helper()
	var text []byte
	eventually(s.t, "the tests have written "+name, screenWait, func() bool {
		var err error
		text, err = os.ReadFile(filepath.Join(s.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.t.Fatal(err)
		}
		return err == nil && (name != "pid" || len(text) > 0)
	})
	return string(text)
}

// awaitState waits until a process is in one of the states of /proc.
func (s *screen) awaitState(pid, states string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("process %s is in one of the states %s", pid, states), screenWait, func() bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			s.t.Fatal(err)
		}
		state := string(bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])[0])
		return strings.Contains(states, state)
	})
}

// modes are those of the terminal that reading single keys changes.
func (s *screen) modes() uint32 {
	s.t.Helper()
	state, err := unix.IoctlGetTermios(int(s.theirs.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return state.Lflag & (unix.ICANON | unix.ECHO)
}

// awaitModes waits until the terminal has its usual modes.
func (s *screen) awaitModes() {
	s.t.Helper()
	eventually(s.t, "the terminal has its modes back", screenWait, func() bool { return s.modes() == unix.ICANON|unix.ECHO })
}

// times are what differs between two runs.
var times = regexp.MustCompile(`\b[0-9]+(\.[0-9]+)?m?s\b`)

// The live area on screens of two sizes: results above it, a line for each busy gateway, within the
// screen, also when that gets smaller; what the gateways run when t is pressed; and nothing of it
// at the end.
func TestTerminal(t *testing.T) {
	t.Parallel() // it waits most of the time
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			s := newScreen(t, size[0], size[1])
			cmd := s.run()
			status := regexp.MustCompile(`(?m)^✓  quick \([0-9]+(\.[0-9]+)?m?s\)(\n.*)*\n2/4 50% · .*\n  gw[01]  waits\.TestWaits [1-9]s$`)
			s.shows("the status", func(text string) bool { return status.MatchString(text) })
			if s.modes() != 0 {
				t.Errorf("the terminal waits for Enter, or shows what is typed: %#x", s.modes())
			}
			s.press("t")
			s.shows("what runs", func(text string) bool {
				return strings.Contains(text, "waiting for a sign\n") && strings.Contains(text, "idle\n") && status.MatchString(text)
			})
			s.resize(40, 12)
			narrow := s.shows("a narrow status", func(text string) bool {
				return strings.Contains(text, "waits.TestWaits 3s") || strings.Contains(text, "waits.TestWaits 4s")
			})
			if strings.Count(narrow, "/4 ") > 2 { // that of the answer, and the status
				t.Errorf("there is a status that is over:\n%s", narrow)
			}
			s.resize(size[0], size[1])
			s.sign()
			s.showsText("PASS  4 tests, 1 skipped")
			if err := s.ended(cmd); err != nil {
				t.Error(err)
			}
			s.awaitModes()
			s.drain()
			got := times.ReplaceAllString(s.text(), "T")
			got = regexp.MustCompile(`gw[01]`).ReplaceAllString(got, "gwN")
			got = regexp.MustCompile(`(?m)^=== Running .*$`).ReplaceAllString(got, "=== Running")
			want := "✓  quick (T)\n=== Running\ngwN  waits.TestWaits  T\n      the first line\n      waiting for a sign\ngwN  idle\n✓  waits (T)\n\nPASS  4 tests, 1 skipped   T (build T, tests T on 2 gateways)\nbounded by waits.TestWaits on gwN: T of T"
			if diff := cmp.Diff(want, strings.Replace(got, "gwN  idle\ngwN  waits.TestWaits  T\n      the first line\n      waiting for a sign\n", "gwN  waits.TestWaits  T\n      the first line\n      waiting for a sign\ngwN  idle\n", 1)); diff != "" {
				t.Errorf("at the end (-want +got):\n%s", diff)
			}
		})
	}
}

// Ctrl-C ends the run with a few lines, and gives the terminal back.
func TestTerminalInterrupt(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newScreen(t, 80, 24)
	cmd := s.run()
	s.awaitFile("pid")
	before := s.showsText("waits.TestWaits")
	s.press("\x03")
	s.showsText("INTERRUPTED")
	s.ended(cmd)
	if got := cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("exit status %d", got)
	}
	s.awaitModes()
	s.drain()
	_, after, found := strings.Cut(s.text(), "xdist: interrupted")
	if lines := strings.Count(strings.ReplaceAll(after, "\n\n", "\n"), "\n"); !found || strings.Contains(after, "%") || lines > 4 {
		t.Errorf("the screen was\n%s\nand is\n%s", before, s.text())
	}
}

// Ctrl-\ shows the goroutines of the tests that run, which fail, as under go test.
func TestTerminalQuit(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newScreen(t, 200, 100)
	cmd := s.run()
	s.awaitFile("pid")
	s.shows("both packages", func(text string) bool {
		return strings.Contains(text, "✓  quick") && strings.Contains(text, "waits.TestWaits")
	})
	s.press("\x1c")
	s.showsText("FAIL  1 of 4 tests, 1 of them crashed, 1 not run")
	s.showsText("STOPPED quit by a signal")
	s.ended(cmd)
	for _, want := range []string{"FAIL  waits.TestWaits", "SIGQUIT: quit", "waits_test.go:", "TestWaits crashed while running on gw"} {
		if !strings.Contains(s.terminal.screen, want) {
			t.Errorf("it never said %q", want)
		}
	}
	if got := cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("exit status %d", got)
	}
	s.awaitModes()
}

// shell starts an interactive shell on the screen, which has xdist as a job, and the run in it.
func (s *screen) shell(args string) *exec.Cmd {
	s.t.Helper()
	cmd := s.startIn("testdata/terminal", s.env, "/bin/sh", "-i")
	s.showsText(">")
	s.press(xdist(s.t) + " --tx '2*popen' " + args + " ./...\n")
	return cmd
}

// usual is what stty -a says of a terminal that reads whole lines and shows what is typed.
var usual = regexp.MustCompile(`(?s)\sicanon\s.*\secho\s`)

// Ctrl-Z stops xdist, the tests and their clocks, and gives the terminal to the shell; fg goes on,
// and no test is blamed for the time in between: a limit of its own that has passed has it run
// again.
func TestTerminalStop(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newScreen(t, 100, 30)
	s.env = append(s.env, "TERMINAL_LIMIT=1s")
	cmd := s.shell("--test-timeout 30s --dist no")
	pid := s.awaitFile("pid")
	s.showsText("waits.TestWaits")
	for range 2 {
		s.press("\x1a")
		s.showsText("Stopped")
		s.awaitState(pid, "T")
		s.press("stty -a; echo in the shell: $((6*7))\n") // a shell may have modes of its own while it reads
		if text := s.showsText("in the shell: 42"); !usual.MatchString(text) {
			t.Errorf("the terminal has not its modes back:\n%s", text)
		}
		time.Sleep(1500 * time.Millisecond) // beyond the limit of the test: what is shown is that it does not matter
		s.press("clear; fg; echo status=$?\n")
		s.awaitState(pid, "SR")
		s.showsText("waits.TestWaits")
	}
	s.sign()
	s.showsText("PASS  4 tests, 1 skipped")
	s.showsText("status=0\n>")
	s.press("exit\n")
	if err := s.ended(cmd); err != nil {
		t.Error(err)
	}
	s.awaitModes()
}

// Where standard output is a file the status is on the terminal of standard error, and goes away.
func TestTerminalOfStandardError(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newScreen(t, 80, 24)
	cmd := s.startIn("testdata/terminal", s.env, "/bin/sh", "-c", xdist(t)+" --tx '2*popen' --dist loadscope ./... >"+filepath.Join(s.dir, "out"))
	s.awaitFile("pid")
	s.showsText("waits.TestWaits 1s")
	s.sign()
	if err := s.ended(cmd); err != nil {
		t.Error(err)
	}
	s.drain()
	if out := s.awaitFile("out"); s.text() != "" || !strings.Contains(out, "PASS  4 tests") || strings.Contains(out, "\x1b") {
		t.Errorf("the screen is\n%s\nand standard output\n%s", s.text(), out)
	}
}

// An xdist that is killed, as one that panics, leaves the terminal as it was.
func TestTerminalAfterKill(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newScreen(t, 80, 24)
	cmd := s.run()
	s.showsText("waits.TestWaits")
	if s.modes() != 0 {
		t.Fatalf("the terminal waits for Enter: %#x", s.modes())
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.ended(cmd) // it was killed
	s.awaitModes()
}

// In the background of its terminal xdist reads no keys and is not stopped for that, and SIGUSR1
// shows what runs.
func TestTerminalInBackground(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newScreen(t, 100, 30)
	cmd := s.startIn("testdata/terminal", s.env, "/bin/sh", "-i")
	s.showsText(">")
	s.press(xdist(t) + " --tx '2*popen' --dist loadscope ./... &\n")
	s.awaitFile("pid")
	s.showsText("waits.TestWaits")
	s.press("echo the shell reads: $((6*7))\n")
	s.showsText("the shell reads: 42")
	s.press("kill -USR1 $!\n")
	s.showsText("waiting for a sign")
	s.sign()
	s.showsText("PASS  4 tests, 1 skipped")
	s.press("exit\n")
	if err := s.ended(cmd); err != nil {
		t.Error(err)
	}
}

// A terminal that nobody reads for a while keeps no test from running: what tests print waits. When
// somebody reads again the run comes to its end.
func TestTerminalThatIsSlow(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newScreen(t, 80, 24)
	s.env = append(s.env, "TERMINAL_LOUD=1")
	cmd := s.run("-v")
	s.awaitFile("pid")
	s.sign()
	s.awaitFile("said")
	s.showsText("DONE 4 tests")
	if err := s.ended(cmd); err != nil {
		t.Error(err)
	}
	s.awaitModes()
}

// A terminal that nobody reads any more does not keep Ctrl-C from ending xdist.
func TestTerminalThatIsDead(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := newScreen(t, 80, 24)
	s.env = append(s.env, "TERMINAL_LOUD=1")
	cmd := s.run("-v", "-run", "Loud", "-count=20")
	s.awaitFile("said")
	for range 2 {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		s.awaitModes() // the first one was heard
	}
	s.ended(cmd)
	if got := cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("exit status %d", got)
	}
}

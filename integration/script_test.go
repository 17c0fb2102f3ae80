package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScript runs the files of testdata/script. Besides testscript's own commands they have
//
//	status N CMD ARGS…       run a command; its exit status must be N
//	interrupt N TEST CMD…    run a command that writes events to stdout, send it an interrupt when TEST runs; its exit status must be N
//	count N PATTERN FILE     FILE has N lines that contain PATTERN
//	none PATTERN             no file matches the glob
//	same KIND A B            two reports tell the same but for times and places; KIND is json, junit or cover
//
// and the conditions [cc] and [root].
func TestScript(t *testing.T) { testscript.Run(t, scriptParams(t, "testdata/script")) }

// scriptParams are for the scripts in a directory.
func scriptParams(t *testing.T, dir string) testscript.Params {
	bin := filepath.Dir(xdist(t))
	env := goEnvironment(t)
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("XDIST_BIN", bin)
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home")) // else /no-home, which root's agents make
			e.Setenv("XDIST_CACHE", storeDir(t))
			e.Setenv("XDIST_NO_HISTORY", "1") // the scripts' modules have one name; those about the history have a cache of their own
			for key, value := range env {
				e.Setenv(key, value)
			}
			return networksFor(t, e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": cmdStatus, "interrupt": cmdInterrupt, "count": cmdCount, "none": cmdNone, "same": cmdSame},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "cc":
				return hasC(t), nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	}
}

// networksFor gives a script a directory for the sockets of networks, whose paths are short, and
// ends what it leaves there.
func networksFor(t *testing.T, e *testscript.Env) error {
	dir, err := os.MkdirTemp("", "net")
	if err != nil {
		return err
	}
	e.Setenv("XDG_RUNTIME_DIR", dir)
	e.Defer(func() {
		left, _ := filepath.Glob(filepath.Join(dir, "xdist", "*.sock")) // the pattern is right
		for _, name := range left {
			cmd := exec.Command(xdist(t), "net", "stop", strings.TrimSuffix(filepath.Base(name), ".sock"))
			cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
		os.RemoveAll(dir) // a rest does no harm
	})
	return nil
}

// goEnvironment is what the go command needs in a script, whose home is no directory.
func goEnvironment(t *testing.T) map[string]string {
	t.Helper()
	keys := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOROOT"}
	lines := strings.Split(strings.TrimSpace(command(t, ".", nil, "go", append([]string{"env"}, keys...)...).stdout), "\n")
	env := map[string]string{"GOPROXY": "off", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
	for i, key := range keys[:3] {
		env[key] = strings.TrimSpace(lines[i])
	}
	env["GOBIN_DIR"] = filepath.Join(strings.TrimSpace(lines[3]), "bin")
	return env
}

func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command [args...]")
	}
	checkStatus(ts, args[0], ts.Exec(args[1], args[2:]...))
}

func checkStatus(ts *testscript.TestScript, text string, err error) {
	want, parseErr := strconv.Atoi(text)
	ts.Check(parseErr)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// interruptLimit is how long a script waits for the test to run and for the end after the
// interrupt.
const interruptLimit = time.Minute

// cmdInterrupt leaves the command's output in the files interrupted.out and interrupted.err.
func cmdInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupt N TEST command [args...]")
	}
	stderr, err := os.Create(ts.MkAbs("interrupted.err"))
	ts.Check(err)
	defer stderr.Close()
	name, err := lookPath(ts, args[2])
	ts.Check(err)
	cmd := exec.Command(name, args[3:]...)
	cmd.Dir, cmd.Env, cmd.Stderr, cmd.WaitDelay = ts.MkAbs("."), scriptEnv(ts), stderr, 10*time.Second
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	kill := time.AfterFunc(interruptLimit, func() { cmd.Process.Kill() })
	defer kill.Stop()
	var seen strings.Builder
	lines, sent := bufio.NewReader(stdout), false
	for {
		line, err := lines.ReadString('\n')
		seen.WriteString(line)
		if !sent && strings.Contains(line, `"Action":"run"`) && strings.Contains(line, `"Test":"`+args[1]+`"`) {
			ts.Check(cmd.Process.Signal(os.Interrupt))
			sent = true
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				ts.Logf("read: %v", err)
			}
			break
		}
	}
	err = cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("interrupted.out"), []byte(seen.String()), 0o666))
	if !sent {
		ts.Fatalf("%s never ran: %s", args[1], ts.ReadFile("interrupted.err"))
	}
	checkStatus(ts, args[0], err)
}

// lookPath finds a command on the script's PATH.
func lookPath(ts *testscript.TestScript, name string) (string, error) {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, name+exeSuffix()); isFile(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("no %s on the script's PATH", name)
}

func isFile(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular()
}

// scriptEnv is the part of a script's environment that a run of xdist needs.
func scriptEnv(ts *testscript.TestScript) []string {
	keys := []string{"PATH", "HOME", "TMPDIR", "WORK", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "XDIST_CACHE", "XDIST_NO_HISTORY"}
	if runtime.GOOS == "windows" {
		keys = append(keys, "SYSTEMROOT", "TMP", "TEMP", "USERPROFILE")
	}
	var env []string
	for _, key := range keys {
		env = append(env, key+"="+ts.Getenv(key))
	}
	return env
}

func cmdCount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: count N text file")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	for line := range strings.Lines(ts.ReadFile(args[2])) {
		if strings.Contains(line, args[1]) {
			got++
		}
	}
	if got != want {
		ts.Fatalf("%d lines with %q, want %d", got, args[1], want)
	}
}

func cmdNone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: none pattern")
	}
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) > 0 {
		ts.Fatalf("there are %q", names)
	}
}

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/xdist-go/xdist/integration/sshd"
)

// terminal is a pseudo terminal and what is on its screen.
type terminal struct {
	t      *testing.T
	ours   *os.File
	theirs *os.File
	screen string
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	ours, theirs, err := pty.Open()
	if err != nil {
		t.Skipf("skipped: no pseudo terminals: %v", err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return &terminal{t: t, ours: ours, theirs: theirs}
}

// start runs a command with the terminal as its own.
func (term *terminal) start(env []string, name string, args ...string) *exec.Cmd {
	term.t.Helper()
	return term.startIn(".", env, name, args...)
}

// startIn is start in a directory.
func (term *terminal) startIn(dir string, env []string, name string, args ...string) *exec.Cmd {
	term.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.theirs, term.theirs, term.theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		term.t.Fatal(err)
	}
	term.t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

// screenWait is how long a program may take to write what is awaited.
const screenWait = time.Minute

// await reads until the screen has a text.
func (term *terminal) await(text string) {
	term.t.Helper()
	term.awaitMatch(regexp.MustCompile(regexp.QuoteMeta(text)))
}

// awaitMatch reads until the screen has what the pattern matches.
func (term *terminal) awaitMatch(pattern *regexp.Regexp) {
	term.t.Helper()
	if err := term.ours.SetReadDeadline(time.Now().Add(screenWait)); err != nil {
		term.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for !pattern.MatchString(term.screen) {
		n, err := term.ours.Read(buf)
		term.screen += string(buf[:n])
		if err != nil {
			term.t.Fatalf("%q never came, but %q: %v", pattern, term.screen, err)
		}
	}
}

// ended waits for a command to end, and returns how it did.
func (term *terminal) ended(cmd *exec.Cmd) error {
	term.t.Helper()
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	late := time.NewTimer(screenWait)
	defer late.Stop()
	select {
	case err := <-waited:
		return err
	case <-late.C:
		cmd.Process.Kill()
		<-waited
		term.t.Fatalf("%v have gone by, and it has not ended: %q", screenWait, cmd.Args)
		return nil
	}
}

func (term *terminal) echoes() bool {
	term.t.Helper()
	state, err := unix.IoctlGetTermios(int(term.theirs.Fd()), unix.TCGETS)
	if err != nil {
		term.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// lockedHost is a server that wants a key with the passphrase "open sesame".
func lockedHost(t *testing.T) *sshd.Server {
	t.Helper()
	s := sshd.Start(t, sshd.Options{})
	public, err := sshd.NewKey(s.Key, "open sesame")
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(s.Key), "authorized_keys"), ssh.MarshalAuthorizedKey(public), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPrompt(t *testing.T) {
	s := lockedHost(t)
	question := "Passphrase of key " + s.Key + ": "
	noCI := []string{"CI=", "XDIST_CACHE=" + storeDir(t)}

	t.Run("answered", func(t *testing.T) {
		term := openTerminal(t)
		cmd := term.start(noCI, xdist(t), "doctor", "--tx", s.Spec())
		term.await(question)
		fmt.Fprint(term.ours, "wrong\n")
		term.await(question + "\r\n\r" + question)
		fmt.Fprint(term.ours, "open sesame\n")
		term.await("handshake")
		term.await("//id=gw0\r\n")
		if err := term.ended(cmd); err != nil || strings.Contains(term.screen, "sesame") || !term.echoes() {
			t.Errorf("%v, the terminal echoes: %v, screen:\n%s", err, term.echoes(), term.screen)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		term := openTerminal(t)
		cmd := term.start(noCI, xdist(t), "doctor", "--tx", s.Spec())
		term.await(question)
		fmt.Fprint(term.ours, "\x03")
		if err := term.ended(cmd); cmd.ProcessState.ExitCode() != 130 || !term.echoes() {
			t.Errorf("%v, the terminal echoes: %v", err, term.echoes())
		}
	})
	t.Run("CI", func(t *testing.T) {
		term := openTerminal(t)
		cmd := term.start([]string{"CI=true", noCI[1]}, xdist(t), "doctor", "--tx", s.Spec())
		term.await("it has a passphrase, and there is no terminal to ask on")
		if term.ended(cmd); cmd.ProcessState.ExitCode() != 5 {
			t.Errorf("%s, screen:\n%s", cmd.ProcessState, term.screen)
		}
	})
	t.Run("no terminal", func(t *testing.T) {
		e := command(t, ".", noCI, xdist(t), "doctor", "--tx", s.Spec())
		if e.status != 5 || !strings.Contains(e.stdout, "there is no terminal to ask on") {
			t.Errorf("status %d\n%s%s", e.status, e.stdout, e.stderr)
		}
	})
}

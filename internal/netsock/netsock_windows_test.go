package netsock

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen makes a listener. Wine has the first client of a pipe connect to an instance that Windows
// keeps from clients, and that go-winio does not serve: there it gets one that stays.
func listen(t *testing.T, name string) *Listener {
	t.Helper()
	l, err := Listen(name)
	check(t, err)
	t.Cleanup(func() { l.Release() })
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		conn, err := winio.DialPipeContext(t.Context(), l.Path())
		check(t, err)
		t.Cleanup(func() { conn.Close() })
	}
	return l
}

// One process listens for a name, and nothing is left when it ends. What one side says the other
// reads, also when that has hung up meanwhile.
func TestListen(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LocalAppData", dir)
	if _, err := Dial(t.Context(), "n"); !errors.Is(err, ErrNone) || Held("n") {
		t.Errorf("dial: %v; held %v", err, Held("n"))
	}
	l := listen(t, "n")
	if !strings.HasPrefix(l.Path(), `\\.\pipe\xdist-S-1-`) || !strings.HasSuffix(l.Path(), "-n") {
		t.Errorf("path %q", l.Path())
	}
	if l2, err := Listen("n"); !errors.Is(err, ErrRunning) {
		t.Errorf("a second one: %v, %v", l2, err)
	}
	if !Held("n") || Held("m") {
		t.Errorf("held: n %v, m %v", Held("n"), Held("m"))
	}
	if names, err := Names(); err != nil || !slices.Equal(names, []string{"n"}) {
		t.Errorf("names %v, %v", names, err)
	}
	acceptedc := make(chan net.Conn, 1)
	go func() { // ends with l
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			acceptedc <- conn
		}
		close(acceptedc)
	}()
	for range 3 {
		conn, err := Dial(t.Context(), "n")
		check(t, err)
		theirs := <-acceptedc
		_, err = io.WriteString(conn, "to")
		check(t, err)
		text := make([]byte, 2)
		if _, err := io.ReadFull(theirs, text); err != nil || string(text) != "to" {
			t.Errorf("there came %q, %v", text, err)
		}
		_, err = io.WriteString(theirs, "and back")
		check(t, err)
		check(t, theirs.Close())
		if got, err := io.ReadAll(conn); err != nil || string(got) != "and back" {
			t.Errorf("back came %q, %v", got, err)
		}
		conn.Close()
	}
	check(t, l.Close())
	if _, ok := <-acceptedc; ok {
		t.Error("somebody connects to a listener that is closed")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after the end: %v", err)
	}
	if !Held("n") {
		t.Error("the name is free before it was released")
	}
	check(t, l.Release())
	check(t, l.Release())
	if left, _ := filepath.Glob(filepath.Join(dir, "xdist", "net", "*")); len(left) > 0 || Held("n") {
		t.Errorf("left: %v", left)
	}
	if _, err := Dial(t.Context(), "n"); !errors.Is(err, ErrNone) {
		t.Errorf("dial: %v", err)
	}
}

// What a process has left that was killed counts as nothing.
func TestStaleLock(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LocalAppData", dir)
	check(t, os.MkdirAll(filepath.Join(dir, "xdist", "net"), 0o700))
	check(t, os.WriteFile(filepath.Join(dir, "xdist", "net", "n.lock"), nil, 0o600))
	if _, err := Dial(t.Context(), "n"); !errors.Is(err, ErrNone) || Held("n") {
		t.Errorf("dial: %v; held %v", err, Held("n"))
	}
	l, err := Listen("n")
	check(t, err)
	check(t, l.Release())
}

// The pipe is for its user, and both ends look who the other one is: at the token of its process.
func TestStrangersOfAPipe(t *testing.T) {
	t.Setenv("LocalAppData", t.TempDir())
	l := listen(t, "n")
	system, err := windows.CreateWellKnownSid(windows.WinLocalSystemSid)
	check(t, err)
	acceptedc := make(chan net.Conn, 1)
	go func() { // ends with l
		conn, _ := l.Listener.Accept()
		acceptedc <- conn
	}()
	conn, err := dial(t.Context(), "n")
	check(t, err)
	defer conn.Close()
	theirs := <-acceptedc
	defer theirs.Close()
	pipe := windows.Handle(theirs.(interface{ Fd() uintptr }).Fd())
	security, err := windows.GetSecurityInfo(pipe, windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	check(t, err)
	if text := security.String(); !strings.HasPrefix(text, "O:"+l.user.String()+"D:P(A;;") || strings.Count(text, "(") != 1 || strings.Count(text, l.user.String()) != 2 {
		t.Errorf("the pipe of %s has %s", l.user, text)
	}
	for what, check := range map[string]func(*windows.SID) error{
		"who listens":  func(user *windows.SID) error { return checkPeer(conn, windows.GetNamedPipeServerProcessId, user) },
		"who connects": func(user *windows.SID) error { return checkPeer(theirs, windows.GetNamedPipeClientProcessId, user) },
	} {
		if err := check(l.user); err != nil {
			t.Errorf("%s is this user: %v", what, err)
		}
		if err := check(system); !errors.Is(err, ErrStranger) || !strings.Contains(err.Error(), l.user.String()) {
			t.Errorf("%s is no other user: %v", what, err)
		}
	}
}

// Dialling ends with its context, also when the process takes no connections.
func TestDialEnds(t *testing.T) {
	t.Setenv("LocalAppData", t.TempDir())
	listen(t, "n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if conn, err := Dial(ctx, "n"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", conn, err)
	}
}

//go:build linux || darwin || freebsd

package netsock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// strangerAt is the variable by which this program listens at a path, or with a + before connects
// to it, and says so.
const strangerAt = "XDIST_TEST_STRANGER"

func TestMain(m *testing.M) {
	path, connect := strings.CutPrefix(os.Getenv(strangerAt), "+")
	switch {
	case path == "":
		os.Exit(m.Run())
	case connect:
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.SetDeadline(time.Now().Add(20 * time.Second)) // fails when it is closed, as does Read
			_, err = conn.Read(make([]byte, 1))
		}
		fmt.Println(err)
	default:
		ln, err := net.Listen("unix", path)
		if err == nil {
			err = os.Chmod(path, 0o666)
		}
		fmt.Println(err)
		ln.Accept() // until it is killed
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// runtimeDir gives the test a directory for sockets, whose paths are short.
func runtimeDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "netsock")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

// One process listens for a name. Its socket and the directory are for its user alone, and nothing
// is left when it ends.
func TestListen(t *testing.T) {
	dir := runtimeDir(t)
	l, err := Listen("n")
	check(t, err)
	for name, want := range map[string]os.FileMode{"xdist": 0o700 | os.ModeDir, "xdist/n.sock": 0o600 | os.ModeSocket, "xdist/n.lock": 0o600} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if l2, err := Listen("n"); !errors.Is(err, ErrRunning) {
		t.Errorf("a second one: %v, %v", l2, err)
	}
	if !Held("n") || Held("m") {
		t.Errorf("held: n %v, m %v", Held("n"), Held("m"))
	}
	conn, err := Dial(t.Context(), "n")
	check(t, err)
	conn.Close()
	if names, err := Names(); err != nil || !slices.Equal(names, []string{"n"}) {
		t.Errorf("names %v, %v", names, err)
	}
	check(t, l.Close())
	if !Held("n") {
		t.Error("the name is free before it was released")
	}
	check(t, l.Release())
	check(t, l.Release())
	if left, _ := filepath.Glob(filepath.Join(dir, "xdist", "*")); len(left) > 0 || Held("n") {
		t.Errorf("left: %v", left)
	}
	if _, err := Dial(t.Context(), "n"); !errors.Is(err, ErrNone) {
		t.Errorf("dial: %v", err)
	}
}

// What a process has left that was killed counts as nothing, and the next one removes it.
func TestStaleSocket(t *testing.T) {
	dir := runtimeDir(t)
	check(t, os.Mkdir(filepath.Join(dir, "xdist"), 0o700))
	path := filepath.Join(dir, "xdist", "n.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	check(t, err)
	ln.SetUnlinkOnClose(false)
	check(t, ln.Close())
	check(t, os.WriteFile(filepath.Join(dir, "xdist", "n.lock"), nil, 0o600))
	if _, err := Dial(t.Context(), "n"); !errors.Is(err, ErrNone) || Held("n") {
		t.Errorf("dial: %v; held %v", err, Held("n"))
	}
	l, err := Listen("n")
	check(t, err)
	defer l.Release()
	conn, err := Dial(t.Context(), "n")
	check(t, err)
	conn.Close()
}

// A directory that is not this user's alone is neither used nor trusted.
func TestStrangersDirectory(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"others may look into it": func(dir string) error { return os.Chmod(dir, 0o750) },
		"a link": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"2"), os.Symlink(dir+"2", dir))
		},
		"another user's": func(dir string) error {
			if os.Geteuid() != 0 {
				return errors.ErrUnsupported
			}
			return os.Chown(dir, 12345, 12345)
		},
		"below another user's": func(dir string) error {
			if os.Geteuid() != 0 {
				return errors.ErrUnsupported
			}
			return os.Chown(filepath.Dir(dir), 12345, 12345)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(runtimeDir(t), "xdist")
			l, err := Listen("n")
			check(t, err)
			defer l.Release()
			if err := spoil(dir); errors.Is(err, errors.ErrUnsupported) {
				t.Skip("only root can give a directory away")
			} else if err != nil {
				t.Fatal(err)
			}
			if conn, err := Dial(t.Context(), "n"); !errors.Is(err, ErrStranger) {
				t.Errorf("dial: %v, %v", conn, err)
			}
			if _, err := listenIn(dir, "m"); !errors.Is(err, ErrStranger) {
				t.Errorf("listen: %v", err)
			}
			if _, err := os.Lstat(filepath.Join(dir, "m.sock")); err == nil {
				t.Error("something was made there")
			}
		})
	}
}

// stranger runs this program as another user and returns what it says first.
func stranger(t *testing.T, at string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	self, err := os.ReadFile(os.Args[0])
	check(t, err)
	copied := filepath.Join(t.TempDir(), "stranger") // the test's own may be out of its reach
	check(t, os.WriteFile(copied, self, 0o755))
	for dir := filepath.Dir(copied); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		check(t, os.Chmod(dir, 0o755))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, copied)
	cmd.Dir, cmd.Env = "/", []string{strangerAt + "=" + at}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { cancel(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	return strings.TrimSpace(line)
}

// Another user who gets at the socket all the same is not served.
func TestStrangerConnects(t *testing.T) {
	dir := runtimeDir(t)
	l, err := Listen("n")
	check(t, err)
	defer l.Release()
	for _, name := range []string{"", "xdist", "xdist/n.sock"} {
		check(t, os.Chmod(filepath.Join(dir, name), 0o777))
	}
	acceptedc := make(chan error, 1)
	go func() { // ends with l
		_, err := l.Accept()
		acceptedc <- err
	}()
	if said := stranger(t, "+"+l.Path()); said != "EOF" && !strings.Contains(said, "reset") {
		t.Errorf("the stranger has %q", said)
	}
	check(t, l.Close())
	if err := <-acceptedc; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accepted: %v", err)
	}
}

// Another user who listens in the place of a network is not spoken to.
func TestStrangerListens(t *testing.T) {
	dir := runtimeDir(t)
	check(t, os.Mkdir(filepath.Join(dir, "xdist"), 0o700))
	at := filepath.Join(dir, "xdist", "n.sock")
	for _, name := range []string{"", "xdist"} {
		check(t, os.Chmod(filepath.Join(dir, name), 0o777))
	}
	if said := stranger(t, at); said != "<nil>" {
		t.Fatal(said)
	}
	for _, name := range []string{"", "xdist"} {
		check(t, os.Chmod(filepath.Join(dir, name), 0o700))
	}
	if conn, err := Dial(t.Context(), "n"); !errors.Is(err, ErrStranger) || !strings.Contains(err.Error(), "65534") {
		t.Errorf("%v, %v", conn, err)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"mynet": true, "a": true, "A-1_b.c": true, strings.Repeat("x", 40): true,
		"": false, "..": false, ".a": false, "-a": false, "a/b": false, "a b": false, "a\x00": false, "é": false, strings.Repeat("x", 41): false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	runtimeDir(t)
	if _, err := Listen("a/b"); err == nil {
		t.Error("a path was taken for a name")
	}
	if _, err := Dial(t.Context(), "../x"); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("dial: %v", err)
	}
}

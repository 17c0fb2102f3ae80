package integration

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/xdist-go/xdist/integration/sshd"
)

// accountsHost is a real sshd that lets ordinary users of this machine in, who go with the test.
// The host "box" has no user in its configuration but that which as gives it.
type accountsHost struct {
	t       *testing.T
	server  *sshd.Server
	users   []*user.User
	mirrors string // where trees go: everybody's, as /var/tmp is
	config  string // without a line User
}

// newAccounts makes n users and a server for them. The test is skipped where that cannot be.
func newAccounts(t *testing.T, n int) *accountsHost {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can make users, and a server that lets them in")
	}
	if _, err := exec.LookPath("useradd"); err != nil {
		t.Skipf("skipped: users cannot be made here: %v", err)
	}
	h := &accountsHost{t: t}
	for i := range n {
		h.users = append(h.users, newUser(t, fmt.Sprintf("xdist-%d-%c", os.Getpid()%100000, 'a'+i)))
	}
	shared, err := os.MkdirTemp("/var/tmp", "xdist-accounts-") // t.TempDir is root's alone
	h.check(err)
	t.Cleanup(func() { h.check(os.RemoveAll(shared)) })
	h.check(os.Chmod(shared, 0o755))
	h.mirrors = filepath.Join(shared, "mirrors")
	h.check(os.Mkdir(h.mirrors, 0o777))
	h.check(os.Chmod(h.mirrors, 0o777|os.ModeSticky))
	keys := filepath.Join(shared, "keys")
	// The server's own HOME is root's: that of the users is what their accounts say.
	h.server = sshd.Start(t, sshd.Options{Lines: []string{"AuthorizedKeysFile " + keys, "SetEnv XDIST_TEST=accounts"}})
	public, err := os.ReadFile(h.server.Key + ".pub")
	h.check(err)
	h.check(os.WriteFile(keys, public, 0o644))
	text, err := os.ReadFile(h.server.Config)
	h.check(err)
	h.config = regexp.MustCompile(`(?m)^User .*\n`).ReplaceAllString(string(text), "")
	return h
}

// newUser makes a user, who goes with the test.
func newUser(t *testing.T, name string) *user.User {
	t.Helper()
	if out, err := exec.Command("useradd", "-m", "-p", "*", "-s", "/bin/sh", name).CombinedOutput(); err != nil {
		t.Skipf("skipped: users cannot be made here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("userdel", "-r", "-f", name).CombinedOutput(); err != nil {
			t.Logf("userdel %s: %v: %s", name, err, out) // without a mail box it complains, and has removed the user
		}
		if _, err := user.Lookup(name); err == nil {
			t.Errorf("the user %s is still there", name)
		}
	})
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (h *accountsHost) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// named is the spec of a gateway whose destination names the user.
func (h *accountsHost) named(u *user.User) string {
	return "ssh=" + u.Username + "@" + h.server.Name + "//ssh_config=" + h.server.Config
}

// as gives the host's configuration a user, and returns the spec that leads there: it is the same
// for all users but for the name of the file.
func (h *accountsHost) as(u *user.User) string {
	h.t.Helper()
	file := filepath.Join(filepath.Dir(h.server.Config), "config")
	h.check(os.WriteFile(file, []byte(h.config+"User "+u.Username+"\n"), 0o600))
	return "ssh=" + h.server.Name + "//ssh_config=" + file
}

// owners are the users' directories among the mirrors, by name.
func (h *accountsHost) owners() map[string]string {
	h.t.Helper()
	entries, err := os.ReadDir(h.mirrors)
	h.check(err)
	owners := make(map[string]string)
	for _, e := range entries {
		info, err := e.Info()
		h.check(err)
		if mode := info.Mode(); mode != os.ModeDir|0o700 {
			h.t.Errorf("%s has mode %v", e.Name(), mode)
		}
		owners[e.Name()] = strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid))
	}
	return owners
}

// accountsModule writes a module whose tests take their time, find their data by runtime.Caller and
// say who runs them.
func accountsModule(t *testing.T, packages int) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"go.mod": "module example.com/accounts\n\ngo 1.24\n"}
	for i := range packages {
		files[fmt.Sprintf("p%d/testdata/wanted", i)] = "pass"
		files[fmt.Sprintf("p%d/p.go", i)] = "package p\n\nfunc f() int { return 1 }\n"
		files[fmt.Sprintf("p%d/p_test.go", i)] = `package p

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestPlace(t *testing.T) {
	_, file, _, _ := runtime.Caller(0)
	if b, err := os.ReadFile(filepath.Join(filepath.Dir(file), "testdata", "wanted")); err != nil || string(b) != "pass" {
		t.Fatalf("%q, %v", b, err)
	}
	if dir, err := os.Getwd(); err != nil || dir != filepath.Dir(file) {
		t.Fatalf("%s runs in %s, %v", file, dir, err)
	}
	time.Sleep(time.Duration(f()) * 500 * time.Millisecond)
	t.Logf("run by %d", os.Getuid())
	if err := os.WriteFile("written", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
`
	}
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var runBy = regexp.MustCompile(`run by (\d+)`)

// who are the users that tests were run by, each once, sorted.
func who(e ended) []string {
	var uids []string
	for _, m := range runBy.FindAllStringSubmatch(e.stdout, -1) {
		uids = append(uids, m[1])
	}
	slices.Sort(uids)
	return slices.Compact(uids)
}

// TestAccountsOfOneHost runs tests as two users of one host, again and again: each has a mirror of
// its own, which stays where it is, and a binary that knows that.
func TestAccountsOfOneHost(t *testing.T) {
	h := newAccounts(t, 2)
	dir := accountsModule(t, 4)
	both := []string{h.users[0].Uid, h.users[1].Uid}
	slices.Sort(both)
	var before map[string]string
	for i, dist := range []string{"load", "each", "load"} {
		args := []string{"--tx", h.named(h.users[0]), "--tx", h.named(h.users[1]), "--min-nodes", "2", "--mirror-dir", h.mirrors, "--dist", dist, "-v", "./..."}
		if i == 2 {
			args = append(args, "-coverpkg=./...", "-coverprofile=cover.out")
		}
		model, e := runXdist(t, dir, nil, args...)
		if e.status != 0 {
			t.Fatalf("--dist %s: status %d\n%s%s", dist, e.status, e.stdout, e.stderr)
		}
		if got := who(e); !slices.Equal(got, both) {
			t.Errorf("--dist %s: tests were run by %s, want both of %s\n%s%s", dist, got, both, e.stdout, e.stderr)
		}
		want := 4 // packages: the accounts share the tests
		if dist == "each" {
			want = 8
		}
		if len(model.Packages) != want {
			t.Errorf("--dist %s: %d packages have run, want %d", dist, len(model.Packages), want)
		}
		after := h.owners()
		if len(after) != 2 || i > 0 && fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("--dist %s: mirrors %v, and were %v", dist, after, before)
		}
		before = after
	}
	text, err := os.ReadFile(filepath.Join(dir, "cover.out"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if line := fmt.Sprintf("example.com/accounts/p%d/p.go:3.14,3.26 1 1\n", i); strings.Count(string(text), line) != 1 {
			t.Errorf("the profile of both has no line %s%s", line, text)
		}
	}
}

// TestAccountsChange lets the user of a host change behind one spec: the name of the mirror is
// another user's then. The same run goes to the next name, and the first user finds its own again.
func TestAccountsChange(t *testing.T) {
	h := newAccounts(t, 2)
	dir := accountsModule(t, 1)
	for i, turn := range []int{0, 1, 0, 1} {
		_, e := runXdist(t, dir, nil, "--tx", h.as(h.users[turn]), "--mirror-dir", h.mirrors, "-v", "-count=1", "./...")
		if e.status != 0 {
			t.Fatalf("run %d: status %d\n%s%s", i, e.status, e.stdout, e.stderr)
		}
		if got := who(e); !slices.Equal(got, []string{h.users[turn].Uid}) {
			t.Errorf("run %d: the test was run by %s, want %s", i, got, h.users[turn].Uid)
		}
	}
	if owners := h.owners(); len(owners) != 2 {
		t.Errorf("mirrors %v, want one of each user", owners)
	}
}

// TestStrangersOnAHost has another user of a host put things where agents and test binaries go
// when a home cannot be used. What is there is left alone, a link's target too, and the next
// directory is taken.
func TestStrangersOnAHost(t *testing.T) {
	h := newAccounts(t, 2)
	dir, user := accountsModule(t, 1), h.users[0]
	uid, err := strconv.Atoi(user.Uid)
	h.check(err)
	stranger, err := strconv.Atoi(h.users[1].Uid)
	h.check(err)
	h.check(os.Lchown(user.HomeDir, 0, 0)) // so that its user can make no cache there
	h.check(os.Chmod(user.HomeDir, 0o755))
	precious := filepath.Join(user.HomeDir, "precious")
	h.check(os.Mkdir(precious, 0o700))
	h.check(os.Mkdir(filepath.Join(precious, "agents"), 0o700))
	for _, name := range []string{filepath.Join(precious, "agents"), precious} {
		h.check(os.Chown(name, uid, uid))
	}
	own := "xdist-" + user.Uid
	planted := []string{filepath.Join("/var/tmp", own), filepath.Join("/dev/shm", own)}
	t.Cleanup(func() { os.RemoveAll(filepath.Join("/tmp", own)) })
	for what, plant := range map[string]func(name string) error{
		"link":         func(name string) error { return os.Symlink(precious, name) },
		"link to none": func(name string) error { return os.Symlink(filepath.Join(precious, "made"), name) },
		"fifo":         func(name string) error { return syscall.Mkfifo(name, 0o666) },
		"directory":    func(name string) error { return os.Mkdir(name, 0o777) },
		"file":         func(name string) error { return os.WriteFile(name, nil, 0o666) },
	} {
		t.Run(what, func(t *testing.T) {
			for _, name := range planted {
				h.check(plant(name))
				t.Cleanup(func() { os.RemoveAll(name) })
				h.check(os.Lchown(name, stranger, stranger))
			}
			h.check(os.RemoveAll(filepath.Join("/tmp", own)))
			_, e := runXdist(t, dir, nil, "--tx", h.as(user), "--mirror-dir", h.mirrors, "-v", "./...")
			if e.status != 0 || !slices.Equal(who(e), []string{user.Uid}) {
				t.Fatalf("status %d\n%s%s", e.status, e.stdout, e.stderr)
			}
			for _, part := range []string{"agents", "blobs"} {
				if info, err := os.Lstat(filepath.Join("/tmp", own, part)); err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != uid {
					t.Errorf("%s are not where there is room: %v", part, err)
				}
			}
			for _, name := range planted {
				if info, err := os.Lstat(name); err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != stranger {
					t.Errorf("%s was replaced: %v, %v", name, info, err)
				}
				if left, err := os.ReadDir(name); err == nil && what == "directory" && len(left) > 0 {
					t.Errorf("made in %s: %v", name, left)
				}
			}
			if left, err := os.ReadDir(precious); err != nil || len(left) != 1 || left[0].Name() != "agents" {
				t.Errorf("behind the link: %v, %v", left, err)
			}
		})
	}
}

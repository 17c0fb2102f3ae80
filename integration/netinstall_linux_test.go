package integration

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeSystemctl notes what it is asked for, and ends the service that the test has started.
const fakeSystemctl = `#!/bin/sh
echo "$*" >>"$HOME/asked"
case $1 in stop) kill -TERM "$(cat "$HOME/main-pid")" ;; esac
`

// ordinary is a user who is not root, with a home directory, xdist, and a service manager that only
// notes what it is asked for.
type ordinary struct {
	home, binary string
	env          []string // all of it
	attr         *syscall.SysProcAttr
}

func newOrdinary(t *testing.T) *ordinary {
	t.Helper()
	home, err := os.MkdirTemp("", "user") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	u := &ordinary{home: home, binary: filepath.Join(home, "bin", "xdist of 5%")}
	for _, dir := range []string{"bin", "run"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", u.binary, "../cmd/xdist")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // it is its own agent, so that this user compiles nothing
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, text := range map[string]string{"systemctl": fakeSystemctl, "rpm-ostree": "#!/bin/sh\n"} { // where it is there is systemd
		if err := os.WriteFile(filepath.Join(home, "bin", name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	u.env = []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + filepath.Join(home, "run"), "PATH=" + filepath.Join(home, "bin") + ":" + os.Getenv("PATH")}
	if os.Geteuid() == 0 {
		const nobody = 65534
		u.attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := filepath.WalkDir(home, func(name string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(name, nobody, nobody)
		}); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// command makes one of the user's, somewhere.
func (u *ordinary) command(t *testing.T, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr, cmd.WaitDelay = "/", u.env, u.attr, 10*time.Second
	return cmd
}

// xdist runs it and returns what it says.
func (u *ordinary) xdist(t *testing.T, args ...string) string {
	t.Helper()
	out, err := u.command(t, u.binary, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("xdist %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// unitWords are the words of a line of a unit, as systemd.service(5) and systemd.unit(5) say.
func unitWords(t *testing.T, line string) (words []string) {
	t.Helper()
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimSpace(rest) {
		if rest[0] != '"' {
			t.Fatalf("a word without quotes: %s", rest)
		}
		var word strings.Builder
		i := 1
		for ; rest[i] != '"'; i++ {
			two := rest[i:min(len(rest), i+2)]
			switch {
			case two == `\x`:
				if rest[i:i+4] != `\x7b` {
					t.Fatalf("what is %s?", rest[i:i+4])
				}
				word.WriteByte('{')
				i += 3
			case two == `\\` || two == `\"` || two == "%%" || two == "$$":
				word.WriteByte(two[1])
				i++
			case strings.ContainsAny(two[:1], `\%$`):
				t.Fatalf("systemd would expand %s", rest[i:])
			default:
				word.WriteByte(rest[i])
			}
		}
		words = append(words, word.String())
		rest = rest[i+1:]
	}
	return words
}

// TestNetInstall registers a network with a systemd that is not there: its unit is one that systemd
// takes, what stands in it starts the network, and uninstalling ends and removes all of that.
func TestNetInstall(t *testing.T) {
	u := newOrdinary(t)
	spec := `popen//id=a//env:A=50% of $HOME, "{{b}}" \n`
	out := u.xdist(t, "net", "install", "mynet", "--tx", spec)
	for _, want := range []string{"xdist: service xdist-net-mynet is installed and was started (linux-systemd)\n", "loginctl enable-linger"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	unit := filepath.Join(u.home, ".config", "systemd", "user", "xdist-net-mynet.service")
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\nWantedBy=default.target\n") { // users' managers have no other
		t.Errorf("nobody starts it:\n%s", text)
	}
	if analyze, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Logf("skipped: systemd does not read the unit: %v", err)
	} else if out, err := u.command(t, analyze, "verify", "--user", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s%s", err, out, text)
	}
	_, line, _ := strings.Cut(string(text), "\nExecStart=")
	line, _, _ = strings.Cut(line, "\n")
	words := unitWords(t, line)
	service := u.command(t, words[0], words[1:]...)
	var complaints bytes.Buffer // complete after Wait
	service.Stderr = &complaints
	said, err := service.StdoutPipe()
	if err == nil {
		err = service.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			service.Process.Kill()
			service.Wait()
		}
	}()
	if first, err := bufio.NewReader(said).ReadString('\n'); first != "xdist: network mynet is up\n" {
		service.Process.Kill()
		service.Wait()
		ended = true
		t.Fatalf("it says %q, %v\n%s", first, err, &complaints)
	}
	if err := os.WriteFile(filepath.Join(u.home, "main-pid"), []byte(strconv.Itoa(service.Process.Pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	st := readNetState(t, u.xdist(t, "net", "status", "mynet", "--json"))
	if st.Pid != service.Process.Pid || len(st.Hosts) != 1 || !st.Hosts[0].Up || st.Hosts[0].Spec != spec {
		t.Errorf("the network is %+v", st)
	}
	if out := u.xdist(t, "exec", "--tx", "net=mynet", "--", "sh", "-c", "echo is up"); !strings.Contains(out, "is up") {
		t.Errorf("exec says %q", out)
	}

	out = u.xdist(t, "net", "uninstall", "mynet")
	if !strings.Contains(out, "service xdist-net-mynet is removed") {
		t.Error(out)
	}
	ended = true
	if err := service.Wait(); err != nil {
		t.Errorf("the service has ended by %v", err)
	}
	left, err := filepath.Glob(filepath.Join(u.home, "run", "xdist", "*"))
	if _, statErr := os.Lstat(unit); err != nil || len(left) > 0 || !os.IsNotExist(statErr) {
		t.Errorf("there are %v, %v; the unit: %v", left, err, statErr)
	}
	asked, err := os.ReadFile(filepath.Join(u.home, "asked"))
	const name = " --user xdist-net-mynet.service\n"
	if want := "enable" + name + "daemon-reload --user\nstart" + name + "stop" + name + "disable" + name + "daemon-reload --user\n"; err != nil || string(asked) != want {
		t.Errorf("systemctl was asked for\n%s%v, want\n%s", asked, err, want)
	}
}

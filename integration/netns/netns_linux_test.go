package netns

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Main()
	if os.Getenv("NETNS_TEST_VICTIM") != "" {
		victim()
	}
	goleak.VerifyTestMain(m)
}

// open makes a world that ends with the test, which is skipped where there cannot be any.
func open(t *testing.T) *World {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skipf("skipped: no hosts of one's own: %v", err)
	}
	w, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func addHost(t *testing.T, w *World, name string, o HostOptions) *Host {
	t.Helper()
	h, err := w.AddHost(t.Context(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// dial connects to a host's sshd from the controller's network.
func dial(w *World, h *Host, timeout time.Duration) (conn net.Conn, err error) {
	err = inside(w.network, func() (err error) {
		conn, err = net.DialTimeout("tcp", h.addr+":22", timeout) // a literal address: this goroutine's thread makes the socket
		return err
	})
	return conn, err
}

// banner waits for what sshd says first.
func banner(conn net.Conn, timeout time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "SSH-2.0-") {
		err = fmt.Errorf("it said %q", line)
	}
	return err
}

func TestCable(t *testing.T) {
	w := open(t)
	h := addHost(t, w, "h1", HostOptions{})
	const delay = 50 * time.Millisecond
	h.Cable.Set(Conditions{Delay: delay})
	start := time.Now()
	conn, err := dial(w, h, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if took := time.Since(start); took < 2*delay {
		t.Errorf("connecting took %v, want at least a round trip of %v", took, 2*delay)
	}
	if err := banner(conn, time.Minute); err != nil {
		t.Error(err)
	}

	h.Cable.Set(Conditions{})
	h.Cable.Cut()
	_, err = dial(w, h, 300*time.Millisecond)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("cut: %v, want a timeout", err)
	}
	h.Cable.Mend()
	again, err := dial(w, h, time.Minute)
	if err != nil {
		t.Fatalf("mended: %v", err)
	}
	again.Close()

	_, before := h.Cable.Carried()
	h.Cable.CutFromHost()
	_, err = dial(w, h, 300*time.Millisecond)
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("the host does not speak: %v, want a timeout", err)
	}
	if _, after := h.Cable.Carried(); after != before {
		t.Errorf("%d packets came from a host that was cut off", after-before)
	}
}

// A wire alone, without devices: what is lost, and when the rest arrives.
func TestWire(t *testing.T) {
	now := time.Now()
	lossy := newWire(1)
	lossy.set(Conditions{Loss: 0.25})
	lost := 0
	for range 10000 {
		if _, ok := lossy.admit(now, 100); !ok {
			lost++
		}
	}
	if lost < 2300 || lost > 2700 {
		t.Errorf("%d of 10000 packets lost, want about 2500", lost)
	}
	slow := newWire(1)
	slow.set(Conditions{Rate: 1000, Delay: time.Second})
	for i := range 5 {
		due, ok := slow.admit(now, 100)
		if want := now.Add(time.Second + time.Duration(i+1)*100*time.Millisecond); !ok || !due.Equal(want) {
			t.Errorf("packet %d arrives after %v, want %v", i, due.Sub(now), want.Sub(now))
		}
	}
}

// login runs a command on the host with OpenSSH's client.
func login(t *testing.T, w *World, h *Host, command string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("ssh")
	if err != nil {
		t.Skipf("skipped: %v (Debian has it in openssh-client)", err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-F", h.config, h.Name, command)
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := w.Start(cmd); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	return strings.TrimSpace(out.String()), err
}

func TestView(t *testing.T) {
	w := open(t)
	h := addHost(t, w, "far", HostOptions{Disks: []Disk{{Dir: "/root", NoExec: true}, {Dir: "/var/tmp", Size: 1 << 20}}})
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ command, want string }{
		{"hostname", "far"},
		{"echo $HOME; ls -A $HOME /tmp /var/tmp", "/root\n/root:\n\n/tmp:\n\n/var/tmp:"},
		{"command -v go || echo none", "none"},
		{"test -e " + here + " || echo none", "none"},
		{"id -u", "0"},
		{"touch /usr/x /etc/x 2>/dev/null || echo read-only", "read-only"},
		{"cp /bin/true . && ./true 2>/dev/null || echo noexec", "noexec"},
		{"head -c 2000000 /dev/zero 2>/dev/null >/var/tmp/big || echo full; rm /var/tmp/big", "full"},
		{"ls /sys/class/net", "eth0\nlo"},
	} {
		if got, err := login(t, w, h, c.command); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.command, got, err, c.want)
		}
	}
	for _, dir := range w.hide {
		if entries, err := os.ReadDir(h.Path(dir)); err == nil && len(entries) > 0 {
			t.Errorf("the host sees %s: %v", dir, entries)
		}
	}
	if len(w.hide) == 0 {
		t.Error("nothing is hidden")
	}
}

func TestServerKilled(t *testing.T) {
	w := open(t)
	h := addHost(t, w, "h1", HostOptions{})
	const untilItRuns = "while ! grep -qs sleep /proc/$!/cmdline; do :; done"
	if _, err := login(t, w, h, "setsid sleep 1000 >/dev/null 2>&1 </dev/null & "+untilItRuns); err != nil {
		t.Fatal(err)
	}
	if err := h.KillServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if conn, err := dial(w, h, time.Minute); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("%v, %v, want a refusal", conn, err)
	}
	left, err := h.Processes()
	if err != nil || len(left) != 1 || !strings.Contains(strings.Join(left[0].Args, " "), "sleep 1000") {
		t.Errorf("%v, %v, want the program that was started", left, err)
	}
	if err := h.StartServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, err := login(t, w, h, "echo back"); out != "back" {
		t.Errorf("%q, %v", out, err)
	}
}

// machine describes what a world might leave: this process's mounts and devices, as the machine has
// them.
func machine(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	links, err := filepath.Glob("/sys/class/net/*")
	if err != nil {
		t.Fatal(err)
	}
	return string(mounts) + strings.Join(links, "\n")
}

// victim makes a world with a host in it, says its process id, and waits to be killed.
func victim() {
	w, err := Open(context.Background(), os.Getenv("NETNS_TEST_VICTIM"))
	if err == nil {
		var h *Host
		if h, err = w.AddHost(context.Background(), "h1", HostOptions{}); err == nil {
			fmt.Println(h.cmd.Process.Pid)
			io.Copy(io.Discard, os.Stdin)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestNothingIsLeft kills a program that has made a host.
func TestNothingIsLeft(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skipf("skipped: no hosts of one's own: %v", err)
	}
	before := machine(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env, cmd.Stderr = append(os.Environ(), "NETNS_TEST_VICTIM="+t.TempDir()), os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	const patience = 10000 // milliseconds
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience); err != nil || n == 0 {
		t.Errorf("the host's first process lives on: %v", err)
	}
	if after := machine(t); after != before {
		t.Errorf("the machine has now\n%s\nand had\n%s", after, before)
	}
}

package netns

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hostVariable is in the environment of a host's first process.
const hostVariable = "XDIST_NETNS_HOST"

// usualPath is that of Debian's root.
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Main makes this process the first one of a host, if it was started for that, and does not return
// then. A program that uses this package calls it first of all.
func Main() {
	if os.Getenv(hostVariable) == "" {
		return
	}
	signal.Ignore(unix.SIGPIPE, unix.SIGHUP, unix.SIGINT, unix.SIGTERM)
	go reap()
	in := bufio.NewReader(os.Stdin)
	if err := inhabit(in); err != nil {
		fmt.Fprintln(os.Stderr, "the host's first process:", err)
		os.Exit(1)
	}
	os.Exit(0) // and all others of the host with it
}

// reap waits for every process that ends here: orphans are adopted by the first process. It ends
// with the process.
func reap() {
	childc := make(chan os.Signal, 1)
	signal.Notify(childc, unix.SIGCHLD)
	for range childc {
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil && !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
}

// inhabit makes the host and follows orders until there are no more.
func inhabit(in *bufio.Reader) error {
	var t task
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &t)
	}
	if errors.Is(err, io.EOF) {
		return nil // the world has changed its mind
	}
	if err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	if err := settle(t); err != nil {
		reply(err)
		return err
	}
	reply(startServer(t))
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil
		}
		switch strings.Trim(line, "\"\n") {
		case orderKill:
			reply(killAll("sshd"))
		case orderHalt:
			reply(killAll(""))
		case orderStart:
			reply(startServer(t))
		default:
			reply(fmt.Errorf("unknown order %q", line))
		}
	}
}

func reply(err error) {
	a := answer{Done: err == nil}
	if err != nil {
		a.Err = err.Error()
	}
	text, _ := json.Marshal(a) // never fails
	fmt.Println(answerPrefix + string(text))
}

// settle gives the host its name, network and file system.
func settle(t task) error {
	if err := unix.Sethostname([]byte(t.Name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := configure("lo", netip.Addr{}); err != nil {
		return err
	}
	if err := makeRoot(t); err != nil {
		return err
	}
	if name, err := exec.LookPath("go"); err == nil {
		return fmt.Errorf("the host was to have no go command, and has %s", name)
	}
	return nil
}

const (
	serverDir = "/run/netns" // of sshd's files
)

// startServer starts sshd and returns when it listens.
func startServer(t task) error {
	config := strings.Join([]string{
		"ListenAddress " + t.Addr + ":22", "HostKey " + serverDir + "/host_key", "PidFile none", "AuthorizedKeysFile " + serverDir + "/authorized_keys",
		"StrictModes no", "UsePAM no", "UseDNS no", "MaxStartups 100", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"PermitRootLogin yes", "PrintMotd no", "LogLevel VERBOSE",
	}, "\n") + "\n"
	if err := os.MkdirAll(serverDir, 0o700); err != nil {
		return err
	}
	for name, content := range map[string]string{"host_key": string(t.HostKey), "authorized_keys": t.Authorized, "sshd_config": config} {
		if err := os.WriteFile(filepath.Join(serverDir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	out, said, err := os.Pipe()
	if err != nil {
		return err
	}
	defer said.Close()
	// Not exec.Command: reap waits for it.
	if _, err := os.StartProcess(t.Server, []string{t.Server, "-D", "-e", "-f", serverDir + "/sshd_config"}, &os.ProcAttr{
		Env: []string{"PATH=" + usualPath}, Files: []*os.File{nil, nil, said}, Sys: &syscall.SysProcAttr{Setsid: true},
	}); err != nil {
		return fmt.Errorf("start sshd: %w", err)
	}
	said.Close()
	listening := make(chan bool, 1)
	go copyLog(out, listening)
	if !<-listening {
		return errors.New("sshd does not start")
	}
	return nil
}

// copyLog ends with the last process that has sshd's standard error.
func copyLog(out *os.File, listening chan<- bool) {
	defer close(listening)
	defer out.Close()
	lines := bufio.NewScanner(out)
	for said := false; lines.Scan(); {
		fmt.Println(lines.Text())
		if !said && strings.Contains(lines.Text(), "Server listening on") {
			listening <- true
			said = true
		}
	}
}

// killAll kills every process whose name begins so, but this one, and returns when there is none
// that lives.
func killAll(prefix string) error {
	for {
		left := 0
		names, err := filepath.Glob("/proc/[0-9]*/comm")
		if err != nil {
			return err
		}
		for _, name := range names {
			comm, err := os.ReadFile(name)
			if err != nil || !strings.HasPrefix(string(comm), prefix) {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err != nil {
				return err
			}
			if pid != os.Getpid() && unix.Kill(pid, unix.SIGKILL) == nil {
				left++
			}
		}
		if left == 0 {
			return nil
		}
	}
}

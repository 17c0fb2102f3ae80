package netns

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/xdist-go/xdist/integration/sshd"
)

// HostOptions are what is to be different. The zero value is a host with room on its disks.
type HostOptions struct {
	Disks []Disk
}

// Disk is a file system of its own below a directory of the host.
type Disk struct {
	Dir    string // absolute
	Size   int64  // in bytes; 0 is what memory allows
	NoExec bool   // programs cannot be started from it
}

// Host is a machine of a world. Its methods may be called concurrently.
type Host struct {
	Name  string
	Cable *Cable

	addr   string // of its end of the cable
	config string // file of ssh's configuration
	cmd    *exec.Cmd
	orders io.WriteCloser
	talked sync.WaitGroup // the goroutine that listens

	mu      sync.Mutex // guards the fields below
	log     strings.Builder
	answers chan answer
}

// task is what the first process of a host is told to make of itself.
type task struct {
	Name       string
	Addr       string // of sshd
	Server     string // path of sshd
	HostKey    []byte
	Authorized string
	Hide       []string
	Disks      []Disk
}

// answer is what it says to the task and to each order after it. Its other lines are sshd's log.
type answer struct {
	Done bool
	Err  string
}

const (
	answerPrefix = "netns-host: "
	orderKill    = "kill" // sshd and all of its sessions
	orderHalt    = "halt" // all processes but the first
	orderStart   = "start"
)

// AddHost starts a host and waits until it can be logged into.
func (w *World) AddHost(ctx context.Context, name string, o HostOptions) (*Host, error) {
	h := &Host{Name: name, answers: make(chan answer, 1)}
	if err := w.add(ctx, h, o); err != nil {
		return nil, fmt.Errorf("add host %s: %w", name, err)
	}
	w.hosts = append(w.hosts, h)
	return h, nil
}

func (w *World) add(ctx context.Context, h *Host, o HostOptions) error {
	number := len(w.hosts) + 1
	h.addr = address(number, 2).String()
	t := task{Name: h.Name, Addr: h.addr, Authorized: w.authorized, Hide: w.hide, Disks: o.Disks}
	var err error
	if t.Server, err = sshServer(); err != nil {
		return err
	}
	if t.HostKey, err = h.configure(w); err != nil {
		return err
	}
	if err := h.start(); err != nil {
		return err
	}
	network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.cmd.Process.Pid))
	if err == nil {
		h.Cable, err = lay(w.network, network, address(number, 1), address(number, 2), uint64(number))
		network.Close()
	}
	if err == nil {
		err = h.order(ctx, t)
	}
	if err != nil {
		return errors.Join(err, h.close())
	}
	return nil
}

// configure writes ssh's configuration and returns the host's private key.
func (h *Host) configure(w *World) ([]byte, error) {
	keyFile := filepath.Join(w.dir, h.Name+"_host_key")
	public, err := sshd.NewKey(keyFile, "")
	if err != nil {
		return nil, err
	}
	private, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	known := filepath.Join(w.dir, h.Name+"_known_hosts")
	if err := os.WriteFile(known, []byte(knownhosts.Line([]string{h.addr}, public)+"\n"), 0o600); err != nil {
		return nil, err
	}
	h.config = filepath.Join(w.dir, h.Name+"_ssh_config")
	lines := []string{
		"Host " + h.Name, "HostName " + h.addr, "User root", "IdentityFile " + w.key, "IdentitiesOnly yes", "IdentityAgent none",
		"UserKnownHostsFile " + known, "GlobalKnownHostsFile none",
	}
	return private, os.WriteFile(h.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// start starts the host's first process, which waits for its task.
func (h *Host) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	h.cmd = exec.Command(self)
	h.cmd.Env = []string{hostVariable + "=1", "PATH=" + usualPath, "GOTRACEBACK=all"}
	h.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true, // a terminal's signals are not for it
	}
	// Pipes of our own: cmd.Wait is to wait for the process only.
	out, said, err := os.Pipe()
	if err != nil {
		return err
	}
	if h.orders, err = h.cmd.StdinPipe(); err != nil {
		return err
	}
	h.cmd.Stdout, h.cmd.Stderr = said, said
	err = h.cmd.Start()
	said.Close()
	if err != nil {
		out.Close()
		return err
	}
	h.talked.Go(func() { h.listen(out) })
	return nil
}

// listen keeps what the host says until everything in it has ended.
func (h *Host) listen(out *os.File) {
	defer out.Close()
	defer close(h.answers)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		text, isAnswer := strings.CutPrefix(lines.Text(), answerPrefix)
		var a answer
		if isAnswer && json.Unmarshal([]byte(text), &a) == nil {
			h.answers <- a
			continue
		}
		h.mu.Lock()
		h.log.WriteString(lines.Text() + "\n")
		h.mu.Unlock()
	}
}

// order sends an order, or the task, and waits for its answer.
func (h *Host) order(ctx context.Context, what any) error {
	if err := json.NewEncoder(h.orders).Encode(what); err != nil {
		return fmt.Errorf("%w\n%s", err, h.Log())
	}
	select {
	case a, ok := <-h.answers:
		switch {
		case !ok:
			return fmt.Errorf("its first process has ended\n%s", h.Log())
		case a.Err != "":
			return fmt.Errorf("%s\n%s", a.Err, h.Log())
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends everything in the host.
func (h *Host) close() error {
	var errs []error
	if h.cmd != nil {
		h.orders.Close() // which is its end; the exit status says the rest
		kill := time.AfterFunc(5*time.Second, func() { h.cmd.Process.Kill() })
		if err := h.cmd.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("end host %s: %w\n%s", h.Name, err, h.Log()))
		}
		kill.Stop()
		h.talked.Wait()
	}
	if h.Cable != nil {
		errs = append(errs, h.Cable.remove())
	}
	return errors.Join(errs...)
}

// Spec is the specification of a gateway to the host.
func (h *Host) Spec() string { return "ssh=" + h.Name + "//ssh_config=" + h.config }

// Path is where this process finds a file of the host, whose path is absolute. Absolute links in it
// lead astray.
func (h *Host) Path(name string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", h.cmd.Process.Pid), name)
}

// Log is what sshd has said.
func (h *Host) Log() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

// KillServer kills sshd and those of its children that hold connections. Programs that were started
// from there go on.
func (h *Host) KillServer(ctx context.Context) error { return h.order(ctx, orderKill) }

// Halt kills all that runs on the host at once, sshd too, as a reboot does: StartServer ends it.
func (h *Host) Halt(ctx context.Context) error { return h.order(ctx, orderHalt) }

// StartServer starts sshd again.
func (h *Host) StartServer(ctx context.Context) error { return h.order(ctx, orderStart) }

// Process is a process of a host.
type Process struct {
	Pid  int // as the host knows it
	Args []string
}

// Processes are what runs on the host, but for its first process, sshd's and those that have ended
// and wait for their parent to notice.
func (h *Host) Processes() ([]Process, error) {
	stats, err := filepath.Glob(h.Path("/proc/[0-9]*/stat"))
	if err != nil || len(stats) == 0 {
		return nil, errors.Join(fmt.Errorf("list the processes of %s: it has none", h.Name), err)
	}
	var all []Process
	for _, stat := range stats {
		b, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended meanwhile
		}
		args, err := os.ReadFile(filepath.Join(filepath.Dir(stat), "cmdline"))
		name, rest, _ := strings.Cut(string(b), ") ")
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if err != nil || pid == 1 || strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X") || strings.Contains(name, "(sshd") {
			continue
		}
		all = append(all, Process{pid, strings.Split(strings.TrimRight(string(args), "\x00"), "\x00")})
	}
	slices.SortFunc(all, func(a, b Process) int { return a.Pid - b.Pid })
	return all, nil
}

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

// server is an OpenSSH server on the loopback, which plays a host: sessions have a home directory
// of their own, and with it a cache of agents. The processor and the disk are the same for all, and
// the controller's.
type server struct {
	name string // in the file of ssh's configuration
	home string // HOME of sessions
	cmd  *exec.Cmd
}

// fleet are servers that the same key lets in. close ends them.
type fleet struct {
	dir     string
	config  string // file of ssh's configuration that knows all servers
	servers []*server
}

// spec is the specification of a gateway to a server.
func (f *fleet) spec(s *server) string { return "ssh=" + s.name + "//ssh_config=" + f.config }

// shell is what rsync is to take for ssh.
func (f *fleet) shell() string { return "ssh -F " + f.config }

// startFleet starts so many servers. The error is errUnavailable where OpenSSH or rsync is missing.
func (b *bench) startFleet(ctx context.Context, count int) (*fleet, error) {
	for _, name := range []string{"ssh", "ssh-keygen", "rsync"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("there is no %s (Debian: openssh-client, rsync): %w", name, errUnavailable)
		}
	}
	program, err := exec.LookPath("/usr/sbin/sshd") // it wants to be started by its whole name
	if err != nil {
		return nil, fmt.Errorf("there is no /usr/sbin/sshd (Debian: openssh-server): %w", errUnavailable)
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, fmt.Errorf("sshd needs /run/sshd, and %v: %w", err, errUnavailable)
		}
	}
	f := &fleet{}
	if f.dir, err = os.MkdirTemp(b.work, "fleet-"); err != nil {
		return nil, fmt.Errorf("start sshd: %w", err)
	}
	f.config = filepath.Join(f.dir, "ssh_config")
	if err = f.makeKeys(ctx); err == nil {
		err = f.start(ctx, program, count)
	}
	if err != nil {
		f.close()
		return nil, fmt.Errorf("start sshd: %w", err)
	}
	return f, nil
}

// makeKeys makes a key for the servers and one for their user.
func (f *fleet) makeKeys(ctx context.Context) error {
	for _, name := range []string{"host", "user"} {
		cmd := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(f.dir, name))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("make a key: %w: %s", err, out)
		}
	}
	return nil
}

func (f *fleet) start(ctx context.Context, program string, count int) error {
	u, err := user.Current()
	if err != nil {
		return err
	}
	hostKey, err := os.ReadFile(filepath.Join(f.dir, "host.pub"))
	if err != nil {
		return err
	}
	var config, known strings.Builder
	for i := range count {
		s := &server{name: fmt.Sprintf("host%d", i+1), home: filepath.Join(f.dir, fmt.Sprintf("home%d", i+1))}
		port, err := freePort()
		if err == nil {
			err = os.Mkdir(s.home, 0o700)
		}
		if err == nil {
			err = f.startServer(ctx, program, s, port)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&config, "Host %s\nHostName 127.0.0.1\nPort %s\nUser %s\nIdentityFile %s\nIdentitiesOnly yes\nIdentityAgent none\n"+
			"UserKnownHostsFile %s\nGlobalKnownHostsFile none\n", s.name, port, u.Username, filepath.Join(f.dir, "user"), filepath.Join(f.dir, "known_hosts"))
		fmt.Fprintf(&known, "[127.0.0.1]:%s %s", port, hostKey)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "known_hosts"), []byte(known.String()), 0o600); err != nil {
		return err
	}
	return os.WriteFile(f.config, []byte(config.String()), 0o600)
}

// startServer starts one and waits until it listens.
func (f *fleet) startServer(ctx context.Context, program string, s *server, port string) error {
	file := filepath.Join(f.dir, s.name+".conf")
	text := fmt.Sprintf("ListenAddress 127.0.0.1:%s\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\nUsePAM no\n"+
		"PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\nMaxStartups 100\nSetEnv \"HOME=%s\"\n",
		port, filepath.Join(f.dir, "host"), filepath.Join(f.dir, "user.pub"), s.home)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	s.cmd = exec.CommandContext(ctx, program, "-D", "-e", "-f", file)
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	f.servers = append(f.servers, s)
	ready := false
	var said []string
	lines := bufio.NewScanner(log)
	for !ready && lines.Scan() {
		said = append(said, lines.Text())
		ready = strings.Contains(lines.Text(), "Server listening on")
	}
	if !ready {
		return fmt.Errorf("it has ended: %s", strings.Join(said, "; "))
	}
	go func() { // ends with the server and its sessions
		for lines.Scan() {
		}
	}()
	return nil
}

// close ends the servers; sessions have ended before.
func (f *fleet) close() {
	for _, s := range f.servers {
		s.cmd.Process.Kill()
		s.cmd.Wait() // killed
	}
	os.RemoveAll(f.dir) // a rest goes with the bench's directory
}

// freePort is free now; there is no way to hand a listening socket to sshd.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

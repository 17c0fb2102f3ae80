// Package sshd starts OpenSSH servers on the loopback for tests: real ones, each with keys, a home
// directory and files of ssh's configuration of its own. A Server runs as a child of the test and
// ends with it. Nothing of the machine is changed but /run/sshd, which root's sshd needs.
package sshd

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Options are what a test wants to be different. The zero value is a server that lets this user in
// with its key, with an empty home.
type Options struct {
	Name  string   // of the host in Config; empty means "box"
	Home  string   // HOME of sessions; empty means a fresh directory
	Env   []string // NAME=VALUE, set in sessions
	Shell string   // command of a login shell that is to be used in place of the user's own; it gets -c and the command
	Lines []string // of sshd_config; they go first, so that they win
	Jump  *Server  // that the client has to go through
}

// Server is a running sshd.
type Server struct {
	Name       string // that Config has for it
	Host, Port string
	User       string
	Home       string // HOME of sessions
	Key        string // file of the private key that it lets in
	HostKey    ssh.PublicKey
	KnownHosts string // file with its key
	Config     string // file of ssh's configuration that has all of this under Name

	cmd  *exec.Cmd
	stop sync.Once
	t    testing.TB

	mu  sync.Mutex // guards log
	log strings.Builder
}

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort(s.Host, s.Port) }

// Spec is the specification of a gateway to it.
func (s *Server) Spec() string { return "ssh=" + s.Name + "//ssh_config=" + s.Config }

// Pid is that of the listening process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Log is what the server has said so far.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Start starts a server that ends with the test. Where there is no sshd the test is skipped, which
// says so.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	program := find(t)
	dir := t.TempDir()
	s := &Server{t: t, Name: o.Name, Home: o.Home, Host: "127.0.0.1"}
	if s.Name == "" {
		s.Name = "box"
	}
	if s.Home == "" {
		s.Home = filepath.Join(dir, "home")
		s.check(os.Mkdir(s.Home, 0o700))
	}
	if runtime.GOOS == "linux" {
		s.Host = "127.0.0.2" // all of 127/8 is there
	}
	u, err := user.Current()
	s.check(err)
	s.User = u.Username
	s.Port = s.freePort()

	_, s.HostKey = s.newKey(filepath.Join(dir, "host_key"))
	var public ssh.PublicKey
	s.Key, public = s.newKey(filepath.Join(dir, "user_key"))
	s.write(filepath.Join(dir, "authorized_keys"), string(ssh.MarshalAuthorizedKey(public)))
	s.KnownHosts = s.write(filepath.Join(dir, "known_hosts"), knownhosts.Line([]string{s.Addr()}, s.HostKey)+"\n")
	s.Config = s.write(filepath.Join(dir, "ssh_config"), s.clientConfig(o))
	s.run(program, s.write(filepath.Join(dir, "sshd_config"), s.serverConfig(o, dir)))
	t.Cleanup(s.Stop)
	return s
}

// find returns the path of sshd, which must be absolute for it to start itself, or skips the test.
func find(t testing.TB) string {
	program, err := exec.LookPath("sshd")
	for _, name := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if err == nil {
			break
		}
		program, err = exec.LookPath(name)
	}
	if err != nil {
		t.Skip("skipped: there is no sshd here (Debian has it in openssh-server)")
	}
	if os.Getuid() == 0 && runtime.GOOS == "linux" {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skipf("skipped: sshd needs /run/sshd, and %v", err)
		}
	}
	return program
}

func (s *Server) serverConfig(o Options, dir string) string {
	var env []string
	for _, v := range append([]string{"HOME=" + s.Home}, o.Env...) {
		env = append(env, fmt.Sprintf("%q", v))
	}
	if v := os.Getenv("GORACE"); v != "" { // agents here are to end as those of other transports do
		env = append(env, fmt.Sprintf("%q", "GORACE="+v))
	}
	lines := append(o.Lines[:len(o.Lines):len(o.Lines)],
		"ListenAddress "+s.Addr(), "HostKey "+filepath.Join(dir, "host_key"), "PidFile none",
		"AuthorizedKeysFile "+filepath.Join(dir, "authorized_keys"),
		"StrictModes no", "UsePAM no", "MaxStartups 100", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes",
		"PrintMotd no", "LogLevel VERBOSE", "Subsystem sftp internal-sftp", "SetEnv "+strings.Join(env, " "))
	if o.Shell != "" {
		lines = append(lines, `ForceCommand exec `+o.Shell+` -c "$SSH_ORIGINAL_COMMAND"`)
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *Server) clientConfig(o Options) string {
	lines := []string{
		"Host " + s.Name, "HostName " + s.Host, "Port " + s.Port, "User " + s.User, "IdentityFile " + s.Key, "IdentitiesOnly yes",
		"IdentityAgent none", "UserKnownHostsFile " + s.KnownHosts, "GlobalKnownHostsFile none",
	}
	text := strings.Join(lines, "\n") + "\n"
	if o.Jump != nil {
		jump, err := os.ReadFile(o.Jump.Config)
		s.check(err)
		text += "ProxyJump " + o.Jump.Name + "\n" + string(jump)
	}
	return text
}

// run starts the program and waits until it listens.
func (s *Server) run(program, config string) {
	s.t.Helper()
	s.cmd = exec.Command(program, "-D", "-e", "-f", config)
	out, err := s.cmd.StderrPipe()
	s.check(err)
	if err := s.cmd.Start(); err != nil {
		s.t.Skipf("skipped: sshd does not start here: %v", err)
	}
	listening := make(chan bool, 1)
	go func() { // ends with the program and its children
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if strings.Contains(lines.Text(), "Server listening on") {
				listening <- true
			}
		}
		close(listening)
	}()
	if !<-listening {
		s.Stop()
		s.t.Skipf("skipped: sshd does not start here: %s", s.Log())
	}
}

// Stop ends the server, which takes no further connections. Those that it has stay, as with any
// sshd.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.cmd.Process.Kill()
		s.cmd.Process.Wait() // not Wait of cmd, which would wait for the sessions too
	})
}

// freePort is free now; there is no way to hand a listening socket to sshd.
func (s *Server) freePort() string {
	l, err := net.Listen("tcp", net.JoinHostPort(s.Host, "0"))
	s.check(err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	s.check(err)
	return port
}

func (s *Server) newKey(file string) (string, ssh.PublicKey) {
	s.t.Helper()
	key, err := NewKey(file, "")
	s.check(err)
	return file, key
}

func (s *Server) write(file, content string) string {
	s.t.Helper()
	s.check(os.WriteFile(file, []byte(content), 0o600))
	return file
}

func (s *Server) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// NewKey writes a fresh key to a file, and its public half beside it, and returns that. An empty
// passphrase is none.
func NewKey(file, passphrase string) (ssh.PublicKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if passphrase != "" && err == nil {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "test", []byte(passphrase))
	}
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	return public, os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(public), 0o600)
}

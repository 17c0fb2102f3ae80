//go:build unix

package gateway_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/sshd"
)

// sshServer is an ssh server in this process, for what an sshd cannot be made to do without
// changing the machine's accounts.
type sshServer struct {
	options string // of a spec, that lead to it
	known   string // file
}

// serveSSH starts a server that lets in as config says and runs commands.
func serveSSH(t *testing.T, config *ssh.ServerConfig) sshServer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := must(ssh.NewSignerFromKey(private))
	config.AddHostKey(key)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serveConn(conn, config, &serving) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte(knownhosts.Line([]string{l.Addr().String()}, key.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return sshServer{known: known, options: "-F none -o UserKnownHostsFile=" + known + " -o GlobalKnownHostsFile=none me@" + l.Addr().String()}
}

func serveConn(conn net.Conn, config *ssh.ServerConfig, serving *sync.WaitGroup) {
	defer conn.Close()
	_, chans, reqs, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	serving.Go(func() { ssh.DiscardRequests(reqs) })
	for c := range chans {
		ch, reqs, err := c.Accept()
		if err != nil {
			continue
		}
		serving.Go(func() {
			for req := range reqs {
				req.Reply(req.Type == "exec", nil)
				if req.Type != "exec" {
					continue
				}
				cmd := exec.Command("sh", "-c", string(req.Payload[4:]))
				cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
				in := must(cmd.StdinPipe())
				serving.Go(func() {
					defer in.Close()
					buf := make([]byte, 32<<10)
					for {
						n, err := ch.Read(buf)
						if _, errWrite := in.Write(buf[:n]); err != nil || errWrite != nil {
							return
						}
					}
				})
				cmd.Run()
				ch.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, uint32(cmd.ProcessState.ExitCode())))
				ch.Close()
			}
		})
	}
}

// asker answers a user's questions, in order.
type asker struct {
	mu      sync.Mutex
	answers []string
	asked   []string
}

func (a *asker) prompt(question string, echo bool) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, question)
	if len(a.answers) == 0 {
		return "", errors.New("enough")
	}
	answer := a.answers[0]
	a.answers = a.answers[1:]
	return answer, nil
}

func askingGroup(t *testing.T, a *asker) *gateway.Group {
	cfg := config()
	cfg.Prompt = a.prompt
	return newGroup(t, cfg)
}

func TestSSHPassword(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	t.Setenv("XDG_CACHE_HOME", cacheHome)
	check := func(password string) error {
		if password != "sesame" {
			return errors.New("wrong")
		}
		return nil
	}
	for name, config := range map[string]*ssh.ServerConfig{
		"password": {PasswordCallback: func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) { return nil, check(string(p)) }},
		"keyboard-interactive": {KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Word:\x1b[2J"}, []bool{false})
			if err != nil || len(answers) != 1 {
				return nil, errors.Join(err, errors.New("no answer"))
			}
			return nil, check(answers[0])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSSH(t, config)
			a := &asker{answers: []string{"open", "sesame"}}
			g := askingGroup(t, a)
			for _, gw := range openAll(t, g, "ssh="+s.options, 10) { // more than one connection
				wantEcho(t, gw)
			}
			if len(a.asked) != 2 || !strings.Contains(a.asked[0], "me@127.0.0.1") || strings.Contains(a.asked[0], "\x1b") {
				t.Errorf("asked %q", a.asked)
			}
			wantPhase(t, "ssh="+s.options, gateway.PhaseAuth, "Permission denied") // with nobody to ask
			if _, err := askingGroup(t, &asker{answers: []string{"a", "b", "c"}}).OpenSpec(t.Context(), spec(t, "ssh="+s.options)); err == nil {
				t.Error("a wrong password is good")
			}
			silent := &asker{}
			askingGroup(t, silent).OpenSpec(t.Context(), spec(t, "ssh=-o BatchMode=yes "+s.options))
			if len(silent.asked) > 0 {
				t.Errorf("asked %q in batch mode", silent.asked)
			}
		})
	}
}

// keyServer lets one key in and notes which are offered.
func keyServer(t *testing.T, key ssh.PublicKey, offered *[]string) sshServer {
	var mu sync.Mutex
	return serveSSH(t, &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		mu.Lock()
		defer mu.Unlock()
		*offered = append(*offered, ssh.FingerprintSHA256(k))
		if string(k.Marshal()) != string(key.Marshal()) {
			return nil, errors.New("wrong key")
		}
		return nil, nil
	}})
}

func TestSSHPassphrase(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	t.Setenv("XDG_CACHE_HOME", cacheHome)
	file := filepath.Join(t.TempDir(), "key")
	key, err := sshd.NewKey(file, "sesame")
	if err != nil {
		t.Fatal(err)
	}
	var offered []string
	s := keyServer(t, key, &offered)
	a := &asker{answers: []string{"open", "sesame"}}
	for _, gw := range openAll(t, askingGroup(t, a), "ssh=-i "+file+" "+s.options, 10) {
		wantEcho(t, gw)
	}
	if len(a.asked) != 2 || !strings.Contains(a.asked[0], file) {
		t.Errorf("asked %q", a.asked)
	}
	wantPhase(t, "ssh=-i "+file+" "+s.options, gateway.PhaseAuth, "Permission denied", file, "it has a passphrase")
}

// TestSSHAgent checks which keys of an agent are offered.
func TestSSHAgent(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", cacheHome)
	ring := agent.NewKeyring()
	var public []ssh.PublicKey
	for range 3 {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
			t.Fatal(err)
		}
		public = append(public, must(ssh.NewSignerFromKey(private)).PublicKey())
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				agent.ServeAgent(ring, conn)
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	t.Setenv("SSH_AUTH_SOCK", socket)
	mine := filepath.Join(dir, "third.pub")
	if err := os.WriteFile(mine, ssh.MarshalAuthorizedKey(public[2]), 0o600); err != nil {
		t.Fatal(err)
	}

	var offered []string
	s := keyServer(t, public[2], &offered)
	wantEcho(t, open(t, "ssh="+s.options))
	if len(offered) < 3 {
		t.Errorf("offered %q, want all of the agent's", offered)
	}
	offered = nil
	wantEcho(t, open(t, "ssh=-i "+mine+" -o IdentitiesOnly=yes "+s.options))
	if want := ssh.FingerprintSHA256(public[2]); slices.ContainsFunc(offered, func(f string) bool { return f != want }) {
		t.Errorf("offered %q, want %s alone", offered, want)
	}
	wantPhase(t, "ssh=-o IdentityAgent=none -o IdentityFile=none "+s.options, gateway.PhaseAuth, "no key to offer")
}

// fakePowerShell plays the far side of the conversation that powerShellScript would have, and keeps
// the script.
const fakePowerShell = `#!/bin/sh
case $* in *"-EncodedCommand "*) ;; *) echo "no command" >&2; exit 9;; esac
IFS= read -r line
echo "$line" | sed "s/.*FromBase64String('//; s/'.*//" | base64 -d >"$FAKE/script" || exit 9
mark=$(sed -n "s/.*[$]mark='\([^']*\)'.*/\1/p" "$FAKE/script")
echo "#< CLIXML"
echo "$mark want Windows AMD64"
read -r word digest size arguments
[ "$word" = agent ] || exit 9
echo "$mark need gz C:\Users\me"
read -r word n
head -c "$n" | gzip -dc >"$FAKE/agent"
set -- $(sha256sum "$FAKE/agent")
[ "$1" = "$digest" ] || exit 8
chmod +x "$FAKE/agent"
echo "$mark go 0 C:\Users\me\xdist.exe"
exec "$FAKE/agent" $arguments
`

// TestSSHWindows is about this side alone: whether PowerShell understands the script is not known
// here.
func TestSSHWindows(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("FAKE", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if err := os.WriteFile(filepath.Join(dir, "powershell"), []byte(fakePowerShell), 0o700); err != nil {
		t.Fatal(err)
	}
	s := serveSSH(t, &ssh.ServerConfig{NoClientAuth: true, ServerVersion: "SSH-2.0-OpenSSH_for_Windows_9.5"})
	cfg := config()
	var asked string
	own := must(newAgent())
	cfg.Agent = func(_ context.Context, goos, goarch string) (gateway.Agent, error) {
		asked = goos + "/" + goarch
		return own, nil
	}
	wantEcho(t, openIn(t, newGroup(t, cfg), "ssh="+s.options+"//env:A=it's"))
	if asked != "windows/amd64" {
		t.Errorf("asked for an agent for %s", asked)
	}
	script, err := os.ReadFile(filepath.Join(dir, "script"))
	if err != nil || !strings.Contains(string(script), "SetEnvironmentVariable('A','it''s')") {
		t.Errorf("the script is %.300s, %v", script, err)
	}
}

// newAgent is this test binary as an agent.
func newAgent() (gateway.Agent, error) {
	content, err := os.ReadFile(os.Args[0])
	return gateway.Agent{Path: os.Args[0], Digest: fmt.Sprintf("%x", sha256.Sum256(content)), Args: []string{agentRole}}, err
}

package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/xdist-go/xdist/internal/turns"
)

// secrets asks for passphrases and passwords, one at a time and each once, and remembers them as
// long as its group lives.
type secrets struct {
	ask func(question string, echo bool) (string, error) // nil: there is nobody to ask

	accounts turns.Turns // whose holder may ask for the account's password: it may be about to be known

	mu        sync.Mutex            // held while somebody is asked; guards the fields below
	keys      map[string]ssh.Signer // decrypted key files by name
	passwords map[string]string     // that have worked, by user and host
}

// errNobody is the answer where there is no terminal.
var errNobody = errors.New("there is no terminal to ask on")

// authenticator is the way of one connection through authentication.
type authenticator struct {
	ctx     context.Context // of the opening
	host    *sshHost
	secrets *secrets
	agent   net.Conn // to the ssh agent; nil when there is none
	notes   []string // what was not tried, and why, for the error
	offered []string
	given   string // password that was sent last
	pass    func() // ends this one's turn to ask for the account's password; nil when it has not had it
}

// passwordTries is how often a password is asked for, as ssh does.
const passwordTries = 3

// methods are in the order in which they are tried. close is to be called when authentication is
// over.
func (a *authenticator) methods() []ssh.AuthMethod {
	var methods []ssh.AuthMethod
	if !a.host.noPublicKey {
		methods = append(methods, ssh.PublicKeysCallback(a.signers))
	}
	if a.secrets.ask == nil || a.host.batch {
		return methods
	}
	if !a.host.noInteractive {
		methods = append(methods, ssh.RetryableAuthMethod(ssh.KeyboardInteractive(a.answer), passwordTries))
	}
	if !a.host.noPassword {
		methods = append(methods, ssh.RetryableAuthMethod(ssh.PasswordCallback(a.password), passwordTries))
	}
	return methods
}

func (a *authenticator) close() {
	if a.agent != nil {
		a.agent.Close()
	}
	if a.pass != nil {
		a.pass()
	}
}

// await waits until no other connection to the account is about to find out whether its password is
// right.
func (a *authenticator) await() (err error) {
	if a.pass == nil {
		_, a.pass, err = a.secrets.accounts.Take(a.ctx, a.account())
	}
	return err
}

func (a *authenticator) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// signers are the keys to offer: those of the agent that are among the identity files, its others
// unless they are not wanted, then the files.
func (a *authenticator) signers() ([]ssh.Signer, error) {
	inAgent := a.agentSigners()
	var wanted, files, others []ssh.Signer
	taken := make(map[string]bool)
	for _, name := range a.host.identityFiles {
		public := a.publicKey(name)
		if held := find(inAgent, public); held != nil {
			wanted = append(wanted, a.certified(name, held)...)
			taken[string(public.Marshal())] = true
		} else if s := a.fileSigner(name, public); s != nil {
			files = append(files, a.certified(name, s)...)
		}
	}
	for _, s := range inAgent {
		if !taken[string(s.PublicKey().Marshal())] && !a.host.identitiesOnly {
			others = append(others, s)
		}
	}
	all := append(append(wanted, others...), files...)
	if a.host.identitiesGiven { // a host that allows few tries is to see the right key early
		all = append(append(wanted, files...), others...)
	}
	for _, s := range all {
		a.offered = append(a.offered, s.PublicKey().Type()+" "+ssh.FingerprintSHA256(s.PublicKey()))
	}
	return all, nil
}

func find(signers []ssh.Signer, key ssh.PublicKey) ssh.Signer {
	if key == nil {
		return nil
	}
	for _, s := range signers {
		if bytes.Equal(s.PublicKey().Marshal(), key.Marshal()) {
			return s
		}
	}
	return nil
}

// agentWait bounds the agent's answers. Signing may take longer: somebody may have to touch a
// token.
const agentWait = 10 * time.Second

func (a *authenticator) agentSigners() []ssh.Signer {
	if a.host.identityAgent == "" {
		return nil
	}
	conn, err := dialAgent(a.host.identityAgent)
	if err != nil {
		a.note("agent %s: %v", a.host.identityAgent, err)
		return nil
	}
	a.agent = conn
	conn.SetDeadline(time.Now().Add(agentWait))
	signers, err := agent.NewClient(conn).Signers()
	conn.SetDeadline(time.Time{})
	if err != nil {
		a.note("agent %s: %v", a.host.identityAgent, err)
	}
	return signers
}

// publicKey is the public half of an identity file as far as it can be known without its
// passphrase, or nil.
func (a *authenticator) publicKey(name string) ssh.PublicKey {
	for _, file := range []string{name + ".pub", name} {
		if content, err := readSSHFile(file); err == nil {
			if key, _, _, _, err := ssh.ParseAuthorizedKey(content); err == nil {
				return key
			}
		}
	}
	content, err := readSSHFile(name)
	if err != nil {
		return nil
	}
	s, err := ssh.ParsePrivateKey(content)
	var missing *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &missing):
		return missing.PublicKey
	case err != nil:
		return nil
	}
	return s.PublicKey()
}

// readKey reads a private key, if that is the user's alone.
func readKey(name string) ([]byte, error) {
	f, err := openSSHFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && othersMayRead(info) {
		err = fmt.Errorf("%s: it is not used because others may read it (mode %04o): chmod 600 it", name, info.Mode().Perm())
	}
	if err != nil {
		return nil, err
	}
	return readLimited(f)
}

// fileSigner is the private key in a file, or nil.
func (a *authenticator) fileSigner(name string, public ssh.PublicKey) ssh.Signer {
	content, err := readKey(name)
	if err != nil {
		if a.host.identitiesGiven || !errors.Is(err, fs.ErrNotExist) {
			a.note("key %v", err)
		}
		return nil
	}
	s, err := ssh.ParsePrivateKey(content)
	var missing *ssh.PassphraseMissingError
	switch {
	case !errors.As(err, &missing):
		if err != nil {
			a.note("key %s: %v", name, err)
			return nil
		}
		return s
	case a.secrets.ask == nil || a.host.batch:
		a.note("key %s: it has a passphrase, and %v", name, errNobody)
		return nil
	case public != nil:
		return &lockedSigner{name: name, content: content, public: public, secrets: a.secrets}
	}
	if s, err = a.secrets.unlock(name, content); err != nil {
		a.note("key %s: %v", name, err)
		return nil
	}
	return s
}

// certified is the key, after the certificates for it: the one that lies beside it, and those that
// the configuration names.
func (a *authenticator) certified(name string, s ssh.Signer) []ssh.Signer {
	var all []ssh.Signer
	for _, file := range append([]string{name + "-cert.pub"}, a.host.certificates...) {
		content, err := readSSHFile(file)
		if err != nil {
			continue
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(content)
		if cert, ok := key.(*ssh.Certificate); ok && err == nil {
			if c, err := ssh.NewCertSigner(cert, s); err == nil { // it is for this key
				all = append(all, c)
			}
		}
	}
	return append(all, s)
}

// lockedSigner asks for the passphrase of its key when the host wants to have it.
type lockedSigner struct {
	name    string
	content []byte
	public  ssh.PublicKey
	secrets *secrets
}

var _ ssh.AlgorithmSigner = (*lockedSigner)(nil)

func (s *lockedSigner) PublicKey() ssh.PublicKey { return s.public }

func (s *lockedSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, "")
}

func (s *lockedSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	open, err := s.secrets.unlock(s.name, s.content)
	if err != nil {
		return nil, err
	}
	if with, ok := open.(ssh.AlgorithmSigner); ok {
		return with.SignWithAlgorithm(rand, data, algorithm)
	}
	return open.Sign(rand, data)
}

// unlock asks for the passphrase of a key file until it fits.
func (s *secrets) unlock(name string, content []byte) (ssh.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if signer := s.keys[name]; signer != nil {
		return signer, nil
	}
	var last error
	for range passwordTries {
		passphrase, err := s.ask(fmt.Sprintf("Passphrase of key %s: ", name), false)
		if err != nil {
			return nil, fmt.Errorf("ask for the passphrase of key %s: %w", name, err)
		}
		signer, err := ssh.ParsePrivateKeyWithPassphrase(content, []byte(passphrase))
		if err == nil {
			s.keys[name] = signer
			return signer, nil
		}
		last = err
	}
	return nil, fmt.Errorf("unlock key %s: %w", name, last)
}

// account is whom a password is for.
func (a *authenticator) account() string { return a.host.user + "@" + a.host.name }

func (a *authenticator) password() (string, error) {
	if err := a.await(); err != nil {
		return "", err
	}
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	if known, ok := a.secrets.passwords[a.account()]; ok && a.given == "" {
		a.given = known
		return known, nil
	}
	var err error
	a.given, err = a.secrets.ask(fmt.Sprintf("Password of %s: ", a.account()), false)
	return a.given, err
}

// answer is an ssh.KeyboardInteractiveChallenge.
func (a *authenticator) answer(name, instruction string, questions []string, echos []bool) ([]string, error) {
	if err := a.await(); err != nil {
		return nil, err
	}
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	answers := make([]string, len(questions))
	for i, question := range questions {
		// The host's own words are shown as its, because it could ask for anything.
		text := strings.TrimSpace(strings.Join([]string{name, instruction, question}, " "))
		known, ok := a.secrets.passwords[a.account()]
		if ok && a.given == "" && len(questions) == 1 && !echos[i] {
			a.given, answers[i] = known, known
			continue
		}
		var err error
		if answers[i], err = a.secrets.ask(fmt.Sprintf("%s asks: %s ", a.account(), printable(text)), echos[i]); err != nil {
			return nil, err
		}
		if len(questions) == 1 && !echos[i] {
			a.given = answers[i]
		}
	}
	return answers, nil
}

// succeeded remembers the password for further connections to the host.
func (a *authenticator) succeeded() {
	if a.given == "" {
		return
	}
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	a.secrets.passwords[a.account()] = a.given
}

// denied is the error of a failed authentication. Its words are ssh's own.
func (a *authenticator) denied(err error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Permission denied for user %q", a.host.user)
	if len(a.offered) > 0 {
		fmt.Fprintf(&b, " with %s", strings.Join(a.offered, ", "))
	} else {
		b.WriteString(": there was no key to offer")
	}
	for _, n := range a.notes {
		b.WriteString("; " + n)
	}
	return fmt.Errorf("%s: %w", b.String(), err)
}

// printable replaces what could change a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// dialAgent connects to the ssh agent.
func dialAgent(socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), agentWait)
	defer cancel()
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", socket)
}

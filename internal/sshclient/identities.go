package sshclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/xdist-go/xdist/internal/ownfile"
)

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

// dialAgent connects to the ssh agent.
func dialAgent(socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), agentWait)
	defer cancel()
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", socket)
}

// publicKey is the public half of an identity file as far as it can be known without its
// passphrase, or nil.
func (a *authenticator) publicKey(name string) ssh.PublicKey {
	for _, file := range []string{name + ".pub", name} {
		if content, err := readFile(file); err == nil {
			if key, _, _, _, err := ssh.ParseAuthorizedKey(content); err == nil {
				return key
			}
		}
	}
	content, err := readFile(name)
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
	f, err := openFile(name)
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
	return ownfile.ReadAll(f, fileLimit)
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
		content, err := readFile(file)
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

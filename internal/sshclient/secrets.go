package sshclient

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/xdist-go/xdist/internal/turns"
)

// secrets asks for passphrases and passwords, one at a time and each once, and remembers them as
// long as its Dialer lives.
type secrets struct {
	ask func(question string, echo bool) (string, error) // nil: there is nobody to ask

	accounts turns.Turns // whose holder may ask for the account's password: it may be about to be known

	mu        sync.Mutex            // held while somebody is asked; guards the fields below
	keys      map[string]ssh.Signer // decrypted key files by name
	passwords map[string]string     // that have worked, by user and host
}

// errNobody is the answer where there is no terminal.
var errNobody = errors.New("there is no terminal to ask on")

// passwordTries is how often a password is asked for, as ssh does.
const passwordTries = 3

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

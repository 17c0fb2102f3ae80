package gateway

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys checks the key of one host on one connection against the files of known hosts.
type hostKeys struct {
	host  *sshHost
	name  string // host:port under which the key is looked up
	db    *knownhosts.HostKeyDB
	jumps bool // the host cannot be reached from here

	patience *time.Timer // ends with the arrival of a key; may be nil
	checked  bool        // the key was accepted
	err      error       // why it was not
}

// loadHostKeys reads the files of known hosts.
func loadHostKeys(h *sshHost) (*hostKeys, error) {
	k := &hostKeys{host: h, name: h.addr(), jumps: len(h.jumps) > 0}
	if h.keyAlias != "" {
		k.name = net.JoinHostPort(h.keyAlias, "22")
	}
	var files []string
	for _, list := range [][]string{h.userKnownHosts, h.globalKnownHosts} {
		for _, name := range list {
			if _, err := os.Stat(name); err == nil {
				files = append(files, name)
			}
		}
	}
	var err error
	if k.db, err = knownhosts.NewDB(files...); err != nil {
		return nil, fmt.Errorf("read known hosts: %w", err)
	}
	return k, nil
}

// algorithms are those of the keys that are known for the host: with another of its keys it would
// be a stranger. Nil leaves the choice open.
func (k *hostKeys) algorithms() []string { return k.db.HostKeyAlgorithms(k.name) }

// check is an ssh.HostKeyCallback.
func (k *hostKeys) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	if k.patience != nil {
		k.patience.Stop()
	}
	// The address is only to be well-formed: known hosts go by name, and the real one is unknown
	// behind a jump host.
	err := k.db.HostKeyCallback()(k.name, &net.TCPAddr{IP: net.IPv4zero}, key)
	if knownhosts.IsHostUnknown(err) && k.host.strict == acceptNew {
		err = k.accept(key)
	}
	if err != nil {
		err = k.explain(err, key)
	}
	k.checked, k.err = err == nil, err
	return err
}

// accept adds the key to the user's known hosts.
func (k *hostKeys) accept(key ssh.PublicKey) error {
	if len(k.host.userKnownHosts) == 0 {
		return nil // UserKnownHostsFile none: there is nothing to remember it in
	}
	name := k.host.userKnownHosts[0]
	line := knownhosts.Line([]string{k.name}, key) + "\n"
	if content, err := os.ReadFile(name); err == nil && len(content) > 0 && content[len(content)-1] != '\n' {
		line = "\n" + line
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line) // in one write, because another run may do the same
	return errors.Join(err, f.Close())
}

// explain says what is wrong with the key, and how to accept it.
func (k *hostKeys) explain(err error, key ssh.PublicKey) error {
	what := fmt.Sprintf("%s key %s", key.Type(), ssh.FingerprintSHA256(key))
	var keyErr *xknownhosts.KeyError
	if !errors.As(err, &keyErr) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if len(keyErr.Want) == 0 {
		return fmt.Errorf("%s is not known; when it is the right one, accept it with: %s", what, k.scan())
	}
	known := keyErr.Want[0]
	return fmt.Errorf("%s is not the one in %s line %d (%s): the host was given a new key, or somebody listens in. Once it is known to be right, accept it with: %s; %s",
		what, known.Filename, known.Line, ssh.FingerprintSHA256(known.Key), k.forget(known.Filename), k.scan())
}

// noneKnown says that the host has no key of the kinds that are known.
func (k *hostKeys) noneKnown(err *ssh.AlgorithmNegotiationError) error {
	return fmt.Errorf("the host has none of the kinds of key that are known for it (%s; it offers %s): it was given new keys, or somebody listens in. Once they are known to be right, accept them with: %s; %s",
		strings.Join(err.SupportedAlgorithms, ", "), strings.Join(err.RequestedAlgorithms, ", "), k.forget(k.file()), k.scan())
}

// file is where known keys are kept.
func (k *hostKeys) file() string {
	if len(k.host.userKnownHosts) > 0 {
		return k.host.userKnownHosts[0]
	}
	return "~/.ssh/known_hosts"
}

func (k *hostKeys) forget(file string) string {
	return fmt.Sprintf("ssh-keygen -R %q -f %q", xknownhosts.Normalize(k.name), file)
}

// scan is the command that makes the host known.
func (k *hostKeys) scan() string {
	if k.jumps || k.host.keyAlias != "" {
		return "ssh " + k.host.alias + ", once"
	}
	return fmt.Sprintf("ssh-keyscan -p %s %s >> %q", k.host.port, k.host.name, k.file())
}

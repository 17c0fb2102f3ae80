package sshclient

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// hostKeys checks the key of one host on one connection against the files of known hosts.
type hostKeys struct {
	host   *Host
	names  []string // under which the key is looked up; the second counts only where the first is unknown
	known  knownHosts
	lookup *lookup // for warnings

	patience *time.Timer // ends with the arrival of a key; may be nil
	checked  bool        // the key was accepted
	err      error       // why it was not
}

// errUnknownKey says that nothing is known about a host.
var errUnknownKey = errors.New("is not known")

// loadHostKeys reads the files of known hosts.
func loadHostKeys(h *Host, lookup *lookup) *hostKeys {
	k := &hostKeys{host: h, names: []string{knownhosts.Normalize(h.addr())}, lookup: lookup}
	switch {
	case h.keyAlias != "":
		k.names[0] = h.keyAlias
	case h.port != "22": // a key that is known for the usual port will do
		k.names = append(k.names, h.name)
	}
	k.known = readKnownHosts(slices.Concat(h.userKnownHosts, h.globalKnownHosts))
	return k
}

// algorithms are those of the keys that are known for the host: with another of its keys it would
// be a stranger. Nil leaves the choice open.
func (k *hostKeys) algorithms() []string {
	for _, name := range k.names {
		keys, authorities := k.known.of(name, ""), k.known.of(name, "cert-authority")
		if len(keys) == 0 && len(authorities) == 0 {
			continue
		}
		all := ssh.SupportedAlgorithms().HostKeys
		return slices.DeleteFunc(all, func(algorithm string) bool {
			if isCert := strings.Contains(algorithm, "-cert-"); isCert || len(keys) == 0 {
				return isCert && len(authorities) == 0
			}
			return !slices.ContainsFunc(keys, func(l knownLine) bool {
				return l.key.Type() == algorithm || l.key.Type() == ssh.KeyAlgoRSA && strings.HasPrefix(algorithm, "rsa-sha2-")
			})
		})
	}
	return nil
}

// check is an ssh.HostKeyCallback. What is looked up is known already: the address may be that of a
// jump host's end.
func (k *hostKeys) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	if k.patience != nil {
		k.patience.Stop()
	}
	err := k.judge(key)
	if errors.Is(err, errUnknownKey) && k.host.strict == acceptNew {
		k.accept(key)
		err = nil
	}
	k.checked, k.err = err == nil, err
	return err
}

// judge says what is wrong with the key, and how to accept it. A certificate whose authority is not
// known is as good as the key in it, as in ssh.
func (k *hostKeys) judge(key ssh.PublicKey) error {
	cert, isCert := key.(*ssh.Certificate)
	plain := plainKey(key)
	what := fmt.Sprintf("%s key %s", plain.Type(), ssh.FingerprintSHA256(plain))
	if k.known.revoked(plain) || isCert && k.known.revoked(cert.SignatureKey) {
		return fmt.Errorf("%s is revoked", what)
	}
	if err := checkRevoked(k.host.revokedHostKeys, key); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	var refusal error // of a certificate whose authority is known
	for i, name := range k.names {
		if isCert && k.known.of(name, "cert-authority").with(cert.SignatureKey) != nil {
			if refusal = k.certified(cert); refusal == nil {
				return nil
			}
		}
		lines := k.known.of(name, "")
		if lines.with(plain) != nil {
			return nil
		}
		if len(lines) > 0 && i == 0 {
			known := lines[0]
			return fmt.Errorf("%s is not the one in %s line %d (%s): the host was given a new key, or somebody listens in. Once it is known to be right, accept it with: %s; %s",
				what, known.file, known.number, ssh.FingerprintSHA256(known.key), k.forget(known.file), k.scan())
		}
	}
	if refusal != nil {
		return fmt.Errorf("%s has a certificate that is not good for it: %w", what, refusal)
	}
	return fmt.Errorf("%s %w; when it is the right one, accept it with: %s", what, errUnknownKey, k.scan())
}

// plainKey is the key, or the one in a certificate.
func plainKey(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

// certified checks a certificate of a known authority.
func (k *hostKeys) certified(cert *ssh.Certificate) error {
	if cert.CertType != ssh.HostCert {
		return errors.New("it is for a user")
	}
	host := cmp.Or(k.host.keyAlias, strings.ToLower(k.host.name))
	return new(ssh.CertChecker).CheckCert(host, cert)
}

// accept adds the key to the user's known hosts, and says so. As in ssh, the connection goes on
// where that fails.
func (k *hostKeys) accept(key ssh.PublicKey) {
	key = plainKey(key)
	line := strings.TrimSpace(k.names[0] + " " + string(ssh.MarshalAuthorizedKey(key)))
	if !k.lookup.first(k.file() + "\n" + line) {
		return
	}
	how := "it is in " + k.file() + " now"
	if err := k.add(line); err != nil {
		how = "it is not kept: " + err.Error()
	}
	k.lookup.warn(fmt.Sprintf("host %s: its %s key %s was not known and is trusted without a proof (StrictHostKeyChecking); %s",
		k.host.alias, key.Type(), ssh.FingerprintSHA256(key), how))
}

// add writes a line to the user's first file of known hosts.
func (k *hostKeys) add(line string) error {
	if len(k.host.userKnownHosts) == 0 {
		return errors.New("UserKnownHostsFile is none")
	}
	if k.host.hashNames {
		line = knownhosts.HashHostname(strings.ToLower(k.names[0])) + strings.TrimPrefix(line, k.names[0])
	}
	line += "\n"
	name := k.host.userKnownHosts[0]
	if name == os.DevNull {
		return nil
	}
	if content, err := readFile(name); err == nil && len(content) > 0 && content[len(content)-1] != '\n' {
		line = "\n" + line
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := ownfile.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line) // in one write, because another run may do the same
	return errors.Join(err, f.Close())
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
	return fmt.Sprintf("ssh-keygen -R %q -f %q", k.names[0], file)
}

// scan is the command that makes the host known.
func (k *hostKeys) scan() string {
	if len(k.host.jumps) > 0 || k.host.command != "" || k.host.keyAlias != "" {
		return "ssh " + k.host.alias + ", once"
	}
	return fmt.Sprintf("ssh-keyscan -p %s %s >> %q", k.host.port, k.host.name, k.file())
}

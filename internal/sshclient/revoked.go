package sshclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// listMagic begins a key revocation list, OpenSSH's binary form of a file of revoked keys.
const listMagic = "SSHKRL\n\x00"

// listPatience is how long ssh-keygen may take to look into a list.
const listPatience = 10 * time.Second

// checkRevoked refuses a host's key that a file of RevokedHostKeys has, and a certificate by one of
// its keys. As in ssh, all keys are refused where a file cannot be read.
func checkRevoked(files []string, key ssh.PublicKey) error {
	for _, file := range files {
		content, err := readFile(file)
		if err != nil {
			return fmt.Errorf("no host's key is accepted without the file of RevokedHostKeys: %w", err)
		}
		revoked := false
		if bytes.HasPrefix(content, []byte(listMagic)) {
			revoked, err = revokedByList(file, key)
		} else {
			revoked, err = revokedByText(content, key)
		}
		if err != nil {
			return fmt.Errorf("no host's key is accepted without an answer of %s (RevokedHostKeys): %w", file, err)
		}
		if revoked {
			return fmt.Errorf("it is revoked by %s (RevokedHostKeys)", file)
		}
	}
	return nil
}

// revokedByText looks a key up in lines of public keys, and those of a certificate. As in ssh, a
// line that makes no sense is an error, for it may be the one.
func revokedByText(content []byte, key ssh.PublicKey) (bool, error) {
	looked := [][]byte{plainKey(key).Marshal()}
	if cert, ok := key.(*ssh.Certificate); ok {
		looked = append(looked, cert.SignatureKey.Marshal())
	}
	for i, line := range bytes.Split(content, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		found, _, options, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil || len(options) > 0 {
			return false, fmt.Errorf("line %d is no public key", i+1)
		}
		if slices.ContainsFunc(looked, func(k []byte) bool { return bytes.Equal(k, found.Marshal()) }) {
			return true, nil
		}
	}
	return false, nil
}

// revokedByList has ssh-keygen look a key up in a list: its format has rules for serial numbers,
// names and authorities of certificates that no library of Go knows.
func revokedByList(file string, key ssh.PublicKey) (bool, error) {
	if runtime.GOOS == "windows" {
		return false, errors.New("key revocation lists are not read on Windows: use a file of public keys")
	}
	ctx, cancel := context.WithTimeout(context.Background(), listPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Q", "-f", file, "/dev/stdin")
	cmd.Stdin = bytes.NewReader(ssh.MarshalAuthorizedKey(key))
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return false, nil
	case ctx.Err() != nil:
		return false, errors.New("ssh-keygen does not end")
	case bytes.Contains(out, []byte("REVOKED")):
		return true, nil
	}
	return false, fmt.Errorf("ssh-keygen: %w: %s", err, bytes.TrimSpace(out))
}

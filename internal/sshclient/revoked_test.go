package sshclient

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// newKey makes a key, and a certificate for another one that it has signed.
func newKey(t *testing.T) (key ssh.PublicKey, cert *ssh.Certificate) {
	t.Helper()
	signer := func() ssh.Signer {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ssh.NewSignerFromKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	authority := signer()
	cert = &ssh.Certificate{Key: signer().PublicKey(), CertType: ssh.HostCert, Serial: 7, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	return authority.PublicKey(), cert
}

// TestRevokedHostKeys has keys in files of RevokedHostKeys, as text and as a list that ssh-keygen
// has made.
func TestRevokedHostKeys(t *testing.T) {
	bad, signed := newKey(t)
	good, other := newKey(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	line := string(ssh.MarshalAuthorizedKey(bad))
	text := file("text", "# gone\n\n"+line)
	files := map[string]string{"text": text}
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Logf("skipped: lists of ssh-keygen: %v", err)
	} else {
		files["list"] = filepath.Join(dir, "list")
		// The second input revokes certificates of an authority by their serial number.
		serial := file("serial", "serial: 7\n")
		authority := file("authority.pub", line)
		for _, args := range [][]string{{"-k", "-f", files["list"], filepath.Join(dir, "key.pub")}, {"-k", "-u", "-f", files["list"], "-s", authority, serial}} {
			file("key.pub", line)
			if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
				t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
			}
		}
	}
	for name, f := range files {
		for _, tt := range []struct {
			what    string
			key     ssh.PublicKey
			refused bool
		}{{"a key", bad, true}, {"a certificate", signed, true}, {"another key", good, false}, {"another certificate", other, false}} {
			err := checkRevoked([]string{f}, tt.key)
			if tt.refused != (err != nil) || err != nil && !strings.Contains(err.Error(), "revoked by "+f) {
				t.Errorf("%s, %s: got %v", name, tt.what, err)
			}
		}
	}
	for _, f := range []string{filepath.Join(dir, "missing"), dir, file("cut", listMagic+"x"), file("odd", "nonsense\n")} {
		if err := checkRevoked([]string{text, f}, good); err == nil || !strings.Contains(err.Error(), f) {
			t.Errorf("%s: got %v", f, err)
		}
	}
}

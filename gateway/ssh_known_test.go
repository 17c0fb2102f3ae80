//go:build unix

package gateway_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/sshd"
)

// authority is a certificate authority, and a host key in a file with a certificate beside it.
type authority struct {
	public ssh.PublicKey
	host   string
}

func newAuthority(t *testing.T, principals ...string) authority {
	t.Helper()
	dir := t.TempDir()
	a := authority{host: filepath.Join(dir, "host")}
	public := must(sshd.NewKey(a.host, ""))
	a.public = must(sshd.NewKey(filepath.Join(dir, "ca"), ""))
	signer := must(ssh.ParsePrivateKey(must(os.ReadFile(filepath.Join(dir, "ca")))))
	cert := &ssh.Certificate{Key: public, CertType: ssh.HostCert, ValidPrincipals: principals, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.host+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a authority) lines() []string {
	return []string{"HostKey " + a.host, "HostCertificate " + a.host + "-cert.pub"}
}

// TestSSHKnownHosts asks for the verdict of gateways on files of known hosts, which is to be ssh's.
func TestSSHKnownHosts(t *testing.T) {
	env := []string{"XDG_CACHE_HOME=" + cacheHome}
	s := sshd.Start(t, sshd.Options{Home: cacheHome, Env: env})
	ca := newAuthority(t, s.Host)
	certified := sshd.Start(t, sshd.Options{Home: cacheHome, Env: env, Lines: ca.lines()})
	stranger := newAuthority(t, "elsewhere")
	misled := sshd.Start(t, sshd.Options{Home: cacheHome, Env: env, Lines: stranger.lines()})
	text := func(k ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) }
	own, key, caKey := s.Addr(), text(s.HostKey), text(ca.public)
	name := "[" + s.Host + "]:" + s.Port
	dir := t.TempDir()
	revoked := func(file, content string) string {
		file = filepath.Join(dir, file)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "RevokedHostKeys " + file + "\n"
	}
	list := "RevokedHostKeys " + filepath.Join(dir, "list") + "\n"
	revoked("own.pub", key+"\n")
	if out, err := exec.Command("ssh-keygen", "-k", "-f", filepath.Join(dir, "list"), filepath.Join(dir, "own.pub")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	for _, c := range []struct {
		what, known string
		s           *sshd.Server
		options     string
		good        bool
	}{
		{"garbage before it", "garbage\n\x00\xff # ?\nhost ssh-ed25519 AAAA\n@odd " + name + " " + key + "\n" + name + " " + key + "\r\n", s, "", true},
		{"garbage alone", "garbage\n" + name + " ssh-ed25519 AAAA\n@odd " + name + " " + key + "\n", s, "", false},
		{"a name with a port as alias", "[box]:9 " + key + "\n", s, "HostKeyAlias [box]:9\n", true},
		{"another port than the alias's", "[box]:8 " + key + "\n", s, "HostKeyAlias [box]:9\n", false},
		{"the alias with the usual port", "box " + key + "\n", s, "HostKeyAlias [box]:22\n", false},
		{"a hashed name", knownhosts.HashHostname(knownhosts.Normalize(own)) + " " + key + "\n", s, "", true},
		{"another hashed name", knownhosts.HashHostname("box") + " " + key + "\n", s, "", false},
		{"any port", "[" + s.Host + "]:* " + key + "\n", s, "", true},
		{"any host", "* " + key + "\n", s, "", true},
		{"a list", "a,!b,[127.0.0.?]:" + s.Port + " " + key + "\n", s, "", true},
		{"an exception", "[127.*]:*,!" + name + " " + key + "\n", s, "", false},
		{"the usual port", s.Host + " " + key + "\n", s, "", true},
		{"another key at the usual port", s.Host + " " + caKey + "\n", s, "", false},
		{"another key", name + " " + caKey + "\n" + s.Host + " " + key + "\n", s, "", false},
		{"another key and this", name + " " + caKey + "\n" + name + " " + key + "\n", s, "", true},
		{"a revoked key", "@revoked * " + key + "\n" + name + " " + key + "\n", s, "", false},
		{"a file of revoked keys", name + " " + key + "\n", s, revoked("revoked", "# gone\n"+key+"\n"), false},
		{"a file of others' revoked keys", name + " " + key + "\n", s, revoked("others", "\n"+caKey+"\n"), true},
		{"a file of revoked keys with garbage", name + " " + key + "\n", s, revoked("garbage", "nonsense\n"), false},
		{"no file of revoked keys", name + " " + key + "\n", s, "RevokedHostKeys " + filepath.Join(dir, "none-of-this") + "\n", false},
		{"the word for no file", name + " " + key + "\n", s, "RevokedHostKeys none\n", true},
		{"a list of revoked keys", name + " " + key + "\n", s, list, false},
		{"a list of others' revoked keys", "@cert-authority * " + caKey + "\n", certified, list, true},
		{"a file with a revoked authority", "@cert-authority * " + caKey + "\n", certified, revoked("authority", caKey+"\n"), false},
		{"an authority's key as a host's", "@cert-authority * " + key + "\n", s, "", false},
		{"an authority for any port", "@cert-authority [" + s.Host + "]:* " + caKey + "\n", certified, "", true},
		{"an authority for the usual port", "@cert-authority " + s.Host + " " + caKey + "\n", certified, "", true},
		{"an authority for others", "@cert-authority [other]:* " + caKey + "\n", certified, "", false},
		{"a revoked authority", "@revoked * " + caKey + "\n@cert-authority * " + caKey + "\n", certified, "", false},
		{"the key in a certificate", "[" + s.Host + "]:* " + string(must(os.ReadFile(ca.host+".pub"))), certified, "", true},
		{"a certificate for others", "@cert-authority * " + text(stranger.public) + "\n", misled, "", false},
		{"a certificate under an alias", "@cert-authority * " + text(stranger.public) + "\n", misled, "HostKeyAlias elsewhere\n", true},
	} {
		t.Run(c.what, func(t *testing.T) {
			known := filepath.Join(t.TempDir(), "known")
			if err := os.WriteFile(known, []byte(c.known), 0o600); err != nil {
				t.Fatal(err)
			}
			config := configWith(t, c.s, "StrictHostKeyChecking yes\nUserKnownHostsFile "+known+"\n"+c.options)
			if c.good {
				wantEcho(t, open(t, "ssh=box//ssh_config="+config))
			} else {
				wantPhase(t, "ssh=box//ssh_config="+config, gateway.PhaseHostKey, "SHA256:")
			}
			program, err := exec.LookPath("ssh")
			if err != nil {
				t.Skipf("skipped: nothing to compare with: %v", err)
			}
			out, err := exec.Command(program, "-F", config, "-T", "-o", "BatchMode=yes", "box", "true").CombinedOutput()
			if good := err == nil; good != c.good {
				t.Errorf("ssh says otherwise: %v: %s", err, out)
			}
		})
	}
}

// TestSSHUnknownKeys opens many gateways to a host that is not known, where that is allowed.
func TestSSHUnknownKeys(t *testing.T) {
	s := sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}})
	fingerprint := ssh.FingerprintSHA256(s.HostKey)
	spec := func(strict, known string) string {
		return "ssh=-o StrictHostKeyChecking=" + strict + " -o UserKnownHostsFile=" + known + " -F none -i " + s.Key + " " + s.User + "@" + s.Addr()
	}
	run := func(text string) string {
		var warned bytes.Buffer
		cfg := config()
		cfg.Logger = warnings(&warned)
		g := newGroup(t, cfg)
		for _, gw := range openAll(t, g, text, 10) { // more than one connection
			wantEcho(t, gw)
		}
		if err := g.Terminate(t.Context(), prompt); err != nil {
			t.Error(err)
		}
		return warned.String()
	}
	for _, strict := range []string{"accept-new", "no"} {
		known := filepath.Join(t.TempDir(), "new", "known_hosts")
		got := run(spec(strict, known))
		if strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, fingerprint) || !strings.Contains(got, "it is in "+known+" now") {
			t.Errorf("%s: warned %q", strict, got)
		}
		if content, err := os.ReadFile(known); err != nil || string(content) != knownhosts.Line([]string{s.Addr()}, s.HostKey)+"\n" {
			t.Errorf("%s: got %q, %v", strict, content, err)
		}
		if got := run(spec("yes", known)); got != "" {
			t.Errorf("%s: warned %q of a known host", strict, got)
		}
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for known, part := range map[string]string{file + "/known": "it is not kept: ", "none": "it is not kept: UserKnownHostsFile is none"} {
			if got := run(spec(strict, known)); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, fingerprint) || !strings.Contains(got, part) {
				t.Errorf("%s, %s: warned %q", strict, known, got)
			}
		}
	}
	known := filepath.Join(t.TempDir(), "hashed")
	run(strings.Replace(spec("accept-new", known), "ssh=", "ssh=-o HashKnownHosts=yes ", 1))
	if content, err := os.ReadFile(known); err != nil || !strings.HasPrefix(string(content), "|1|") {
		t.Errorf("hashed: got %q, %v", content, err)
	}
	if got := run(spec("yes", known)); got != "" {
		t.Errorf("hashed: warned %q of a known host", got)
	}
}

// TestSSHCertificateFile logs in with a certificate that lies elsewhere.
func TestSSHCertificateFile(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	must(sshd.NewKey(ca, ""))
	s := sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}, Lines: []string{"TrustedUserCAKeys " + ca + ".pub"}})
	key := filepath.Join(dir, "key")
	cert := &ssh.Certificate{
		Key: must(sshd.NewKey(key, "")), CertType: ssh.UserCert, ValidPrincipals: []string{s.User}, ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
	}
	if err := cert.SignCert(rand.Reader, must(ssh.ParsePrivateKey(must(os.ReadFile(ca))))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "elsewhere.pub")
	if err := os.WriteFile(file, ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("-F none -o UserKnownHostsFile=%s -o IdentityAgent=none -i %s %s@%s", s.KnownHosts, key, s.User, s.Addr())
	wantEcho(t, open(t, "ssh=-o CertificateFile="+file+" "+options))
	wantPhase(t, "ssh="+options, gateway.PhaseAuth, "Permission denied")
}

// TestSSHOpenKey offers no key that others may read, as ssh does.
func TestSSHOpenKey(t *testing.T) {
	s := sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}})
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(s.Key, mode); err != nil {
			t.Fatal(err)
		}
		wantPhase(t, s.Spec(), gateway.PhaseAuth, "Permission denied", s.Key, fmt.Sprintf("others may read it (mode %04o)", mode), "chmod 600")
	}
	if err := os.Chmod(s.Key, 0o400); err != nil {
		t.Fatal(err)
	}
	wantEcho(t, open(t, s.Spec()))
}

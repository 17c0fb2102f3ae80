package gateway_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/sshd"
)

// sshConfigOf are files below /etc as the packages of a distribution install them.
var sshConfigOf = map[string]map[string]string{
	"fedora": {
		"ssh/ssh_config": redhatMain,
		"ssh/ssh_config.d/20-systemd-ssh-proxy.conf":     systemdProxy,
		"ssh/ssh_config.d/50-redhat.conf":                redhatDropIn,
		"crypto-policies/back-ends/openssh.config":       cryptoPolicy,
		"crypto-policies/back-ends/opensshserver.config": "Ciphers aes256-gcm@openssh.com\n",
	},
	"rhel 8": {
		"ssh/ssh_config":                           redhatMain,
		"ssh/ssh_config.d/05-redhat.conf":          redhatDropIn + redhatLocale,
		"crypto-policies/back-ends/openssh.config": cryptoPolicy,
	},
	"rocky and alma 9": {
		"ssh/ssh_config":                           redhatMain,
		"ssh/ssh_config.d/50-redhat.conf":          redhatDropIn,
		"crypto-policies/back-ends/openssh.config": cryptoPolicy,
	},
}

const (
	redhatMain = `#	$OpenBSD: ssh_config,v 1.35 2020/07/17 03:43:42 dtucker Exp $

# This is the ssh client system-wide configuration file.  See
# ssh_config(5) for more information.  This file provides defaults for
# users, and the values can be changed in per-user configuration files
# or on the command line.

# Host *
#   ForwardAgent no
#   Port 22
#
# This system is following system-wide crypto policy.
# To modify the crypto properties (Ciphers, MACs, ...), create a  *.conf
#  file under  /etc/ssh/ssh_config.d/  which will be automatically
# included below. For more information, see manual page for
#  update-crypto-policies(8)  and  ssh_config(5).
Include /etc/ssh/ssh_config.d/*.conf
`
	redhatDropIn = `# The options here are in the "Match final block" to be applied as the last
# options and could be potentially overwritten by the user configuration
Match final all
	# Follow system-wide Crypto Policy, if defined:
	Include /etc/crypto-policies/back-ends/openssh.config

	GSSAPIAuthentication yes

# If this option is set to yes then remote X11 clients will have full access
# to the original X11 display. As virtually no X11 client supports the untrusted
# mode correctly we set this to yes.
	ForwardX11Trusted yes

# Uncomment this if you want to use .local domain
# Host *.local
`
	redhatLocale = `
# Send locale-related environment variables
	SendEnv LANG LC_CTYPE LC_NUMERIC LC_TIME LC_COLLATE LC_MONETARY LC_MESSAGES
	SendEnv LC_PAPER LC_NAME LC_ADDRESS LC_TELEPHONE LC_MEASUREMENT
	SendEnv LC_IDENTIFICATION LC_ALL LANGUAGE
	SendEnv XMODIFIERS
`
	systemdProxy = `# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Make sure unix/* and vsock/* can be used to connect to AF_UNIX and AF_VSOCK paths.
#
Host unix/* unix,* vsock/* vsock,* vsock-mux/* vsock-mux,*
    ProxyCommand /usr/lib/systemd/systemd-ssh-proxy %h %p
    ProxyUseFdpass yes
    CheckHostIP no

# Allow connecting to the local host directly via ".host"
Host .host
    ProxyCommand /usr/lib/systemd/systemd-ssh-proxy unix/run/ssh-unix-local/socket %p
    ProxyUseFdpass yes
    CheckHostIP no
`
	cryptoPolicy = `Ciphers aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr
MACs hmac-sha2-256-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-512-etm@openssh.com
GSSAPIKexAlgorithms gss-curve25519-sha256-,gss-nistp256-sha256-,gss-group14-sha256-,gss-group16-sha512-
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group14-sha256
HostKeyAlgorithms ecdsa-sha2-nistp256,ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,rsa-sha2-256,rsa-sha2-512
PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256,ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,rsa-sha2-256,rsa-sha2-512
CASignatureAlgorithms ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-256,rsa-sha2-512
`
)

// userConfig leads to a server if every line is understood as ssh does.
func userConfig(s *sshd.Server) string {
	return fmt.Sprintf(`Host elsewhere
  Port 1
Match exec "test %%n = box"
  ConnectTimeout 1m
Match originalhost other exec "exit 9"
  User nobody
Host "box" "with blank"
  HostName %[1]s
Match host "!foo,%[1]s"
  User %[2]s
Match originalhost box localuser %[2]s user %[2]s
  Port %[3]s
Match final host %[1]s
  IdentityFile %[4]s
Match canonical all
  IdentitiesOnly yes
Host *
  IdentityAgent none
  UserKnownHostsFile "%[5]s"
  GlobalKnownHostsFile none
`, s.Host, s.User, s.Port, s.Key, s.KnownHosts)
}

// TestSSHDistributions opens a gateway with the configuration of a distribution, in a mount
// namespace with an /etc of its own, both with ssh and without.
func TestSSHDistributions(t *testing.T) {
	s := sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}})
	for name, files := range sshConfigOf {
		t.Run(name, func(t *testing.T) {
			etc := newEtc(t)
			for file, content := range files {
				etc.write(file, content)
			}
			etc.writeHome(".ssh/config", userConfig(s))
			out := etc.open(t, "ssh=box", os.Getenv("PATH"))
			if out != "hello\n" {
				t.Errorf("with ssh: %s", out)
			}
			out = etc.open(t, "ssh=box", "/var/empty")
			if n := strings.Count(out, "level=WARN"); n != 1 || !strings.Contains(out, "Match exec") || !strings.HasSuffix(out, "hello\n") ||
				strings.Contains(out, "originalhost other") {
				t.Errorf("without ssh: %d warnings: %s", n, out)
			}
		})
	}
}

// etcView is a copy of /etc, and a home, that a process may see in the place of the machine's.
type etcView struct {
	t         *testing.T
	dir, home string
}

// newEtc copies /etc. The test is skipped where a process can have no file systems of its own.
func newEtc(t *testing.T) etcView {
	t.Helper()
	dir := t.TempDir()
	e := etcView{t: t, dir: filepath.Join(dir, "etc"), home: filepath.Join(dir, "home")}
	if out, err := exec.Command("unshare", "-m", "sh", "-c", "cp -a /etc "+e.dir+" && mount --bind "+e.dir+" /etc").CombinedOutput(); err != nil {
		t.Skipf("skipped: no /etc of one's own: %v: %s", err, out)
	}
	for _, name := range []string{"ssh/ssh_config", "ssh/ssh_config.d", "crypto-policies"} {
		if err := os.RemoveAll(filepath.Join(e.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	e.write("passwd", fmt.Sprintf("root:x:%d:%d:root:%s:/bin/sh\n", os.Getuid(), os.Getgid(), e.home))
	return e
}

func (e etcView) write(name, content string) { e.put(filepath.Join(e.dir, name), content) }

func (e etcView) writeHome(name, content string) { e.put(filepath.Join(e.home, name), content) }

func (e etcView) put(file, content string) {
	e.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		e.t.Fatal(err)
	}
}

// open runs openMain there and returns what it prints.
func (e etcView) open(t *testing.T, spec, path string) string {
	t.Helper()
	cmd := exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$0" /etc && PATH="$1" && export PATH && shift && exec "$@"`,
		e.dir, path, os.Args[0], openRole, spec)
	cmd.Env = append(os.Environ(), "HOME="+e.home, "SSH_AUTH_SOCK=")
	out, _ := cmd.CombinedOutput() // it says why it fails
	return string(out)
}

// TestSSHOthersConfig refuses the user's configuration, and what it includes, where others may
// write it, both with ssh and without; but not the system's.
func TestSSHOthersConfig(t *testing.T) {
	s := sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}})
	etc := newEtc(t)
	etc.write("ssh/ssh_config", "Host *\n  Compression no\n")
	etc.writeHome(".ssh/config", "Include more\n")
	etc.writeHome(".ssh/more", string(must(os.ReadFile(s.Config))))
	system, first, second := filepath.Join(etc.dir, "ssh/ssh_config"), filepath.Join(etc.home, ".ssh/config"), filepath.Join(etc.home, ".ssh/more")
	for _, path := range []string{os.Getenv("PATH"), "/var/empty"} {
		for _, c := range []struct {
			file  string
			mode  os.FileMode
			owner int
			good  bool
		}{
			{system, 0o666, 0, true}, {first, 0o644, 0, true},
			{first, 0o666, 0, false}, {first, 0o646, 0, false}, {first, 0o600, 12345, false},
			{second, 0o666, 0, false}, {second, 0o644, 12345, false}, {second, 0o600, 0, true},
		} {
			what := fmt.Sprintf("%s, mode %04o, owner %d, PATH %s", c.file, c.mode, c.owner, path)
			if err := errors.Join(os.Chmod(c.file, c.mode), os.Chown(c.file, c.owner, -1)); err != nil {
				t.Fatal(err)
			}
			out := etc.open(t, "ssh=box", path)
			if good := out == "hello\n"; good != c.good {
				t.Errorf("%s: %s", what, out)
			} else if !good && (!strings.Contains(out, c.file) || !strings.Contains(out, "ermissions") && !strings.Contains(out, "others may write")) {
				t.Errorf("%s: the reason is not given: %s", what, out)
			}
			if err := errors.Join(os.Chown(c.file, 0, -1), os.Chmod(c.file, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

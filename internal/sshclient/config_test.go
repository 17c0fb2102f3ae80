package sshclient

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func resolveIn(t *testing.T, config, text string) (Host, error) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Setenv("PATH", home) // where no ssh is
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh", "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return resolve(t, text)
}

func resolve(t *testing.T, text string) (Host, error) {
	t.Helper()
	target, err := ParseTarget(text)
	if err != nil {
		t.Fatal(err)
	}
	return new(lookup).host(t.Context(), target)
}

func TestResolve(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "/run/agent")
	h, err := resolveIn(t, `
Host b*
  HostName %h.example.org
  Port 2200
  IdentityFile "~/my keys/%r"
  IdentitiesOnly yes
  ServerAliveInterval 7
  ProxyJump me@gate:23,second
Host second
  User other
  IdentityAgent none
Host *
  User builder
  ConnectTimeout 1m30
  UserKnownHostsFile ~/a ~/b
  StrictHostKeyChecking accept-new
`, "box")
	if err != nil {
		t.Fatal(err)
	}
	home := os.Getenv("HOME")
	if h.addr() != "box.example.org:2200" || h.user != "builder" || !h.identitiesOnly || h.identityAgent != "/run/agent" ||
		h.aliveInterval != 7*time.Second || h.connectTimeout != 90*time.Second || h.strict != acceptNew {
		t.Errorf("got %+v", h)
	}
	if want := []string{filepath.Join(home, "my keys", "builder")}; !slices.Equal(h.identityFiles, want) {
		t.Errorf("keys %q, want %q", h.identityFiles, want)
	}
	if want := []string{filepath.Join(home, "a"), filepath.Join(home, "b")}; !slices.Equal(h.userKnownHosts, want) {
		t.Errorf("known hosts %q, want %q", h.userKnownHosts, want)
	}
	if len(h.jumps) != 2 || h.jumps[0].addr() != "gate:23" || h.jumps[0].user != "me" || h.jumps[1].user != "other" || h.jumps[1].identityAgent != "" {
		t.Errorf("jumps %+v", h.jumps)
	}
}

func TestResolveRefuses(t *testing.T) {
	for config, part := range map[string]string{
		"Host x\n ProxyCommand p %h\n ProxyUseFdpass yes\n": "ProxyUseFdpass", "StrictHostKeyChecking perhaps\n": "perhaps",
		"ConnectTimeout soon\n": "soon", "ConnectTimeout 3y\n": "3y", "Port 0\n": "port", "Match host\n": "line 1: condition host of Match needs a value",
		"Host a\n ProxyJump b\nHost b\n ProxyJump a\nHost x\n ProxyJump a\n": "jump hosts", "Include ~/.ssh/config\n": "16 deep",
	} {
		if h, err := resolveIn(t, config, "x"); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: got %+v, %v; want an error with %q", config, h, err, part)
		}
	}
	// A link that leads nowhere ends nothing.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Skipf("skipped: %v", err)
	}
	if h, err := resolveIn(t, "Include "+link+"\nPort 7\n", "x"); err != nil || h.port != "7" {
		t.Errorf("got %+v, %v", h, err)
	}
	// A spec's options win over a file, and a pattern for all hosts does not send a jump host
	// through itself.
	h, err := resolveIn(t, "Host *\n ProxyJump gate\n Port 1\n", "-p 2 x")
	if err != nil || h.port != "2" || len(h.jumps) != 1 || len(h.jumps[0].jumps) != 0 {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestResolveAgrees(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skipf("skipped: %v", err)
	}
	home, err := accountHome()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	path := os.Getenv("PATH")
	for _, c := range []struct{ config, text string }{
		{"", "box"},
		{"Host \"box\" # 'it\n Port=7\n", "box"},
		{"Host \"a box\" b?x !box\n Port 7\nHost box,\n Port 8\n", "box"},
		{"Host b?x\n Port 7\n", "bx"},
		{"Host x\n HostName tgt\nMatch host \"!foo,tgt\"\n Port 7\n ProxyJump gate\n User u\nHost gate\n Port 2\n", "x"},
		{"Host x\n HostName foo\nMatch host \"!foo,*\"\n Port 7\n", "x"},
		{"Match final host y\n Port 7\nMatch final all\n Port 9\nHost x\n HostName y\n", "x"},
		{"Match final all\n IdentityFile ~/b\nHost *\n IdentityFile ~/a\n", "-i ~/c x"},
		{"Match canonical all\n Port 7\n", "x"},
		{"Match all\n Port 7\n", "x"},
		{"Match originalhost x user u !localuser nobody\n Port 7\nMatch !host y originalhost x\n User v\n", "u@x"},
		{"User u\nMatch user u\n Port 7\n", "x"},
		{"ProxyCommand nc %h %p\nProxyJump gate\n", "me@x"},
		{"ProxyCommand nc \"a b\" '%n' %p%% # no comment\n", "x:99"},
		{"ProxyJump none\nProxyCommand nc %h %p\n", "x"},
		{"ProxyCommand none\nProxyJump gate\nHost gate\n ProxyJump none\n", "x"},
		{"Match host c\n ProxyJump a,u@b:7\nHost b\n ProxyCommand x\nMatch host a\n ProxyCommand nc\n", "c"},
		{"Host a\n ProxyJump b\nHost b\n ProxyJump c\n", "-J a x"},
		{"Host a\n ProxyJump b\nHost b\n ProxyJump c\n", "-J c,a x"},
		{"ConnectTimeout 1m\nServerAliveInterval 2H\nServerAliveCountMax 9\n", "x"},
		{"UserKnownHostsFile ~/a \"/b c\"\nGlobalKnownHostsFile none\nHostKeyAlias [h]:22\nStrictHostKeyChecking off\n", "x"},
		{"IdentityFile none\nPubkeyAuthentication no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nBatchMode yes\n", "x"},
		{"IdentityAgent ~/x/%h\nIdentitiesOnly yes\nHostName %h.org\n", "x"},
	} {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", path)
		want, err := resolve(t, "-F "+file+" "+c.text)
		if err != nil {
			t.Errorf("%q: ssh: %v", c.config, err)
		}
		t.Setenv("PATH", t.TempDir())
		got, err := resolve(t, "-F "+file+" "+c.text)
		if err != nil {
			t.Errorf("%q: %v", c.config, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Host{})); diff != "" {
			t.Errorf("%q (-ssh +own):\n%s", c.config, diff)
		}
	}
}

// The algorithms that a configuration names are nothing to a connection, whoever reads it.
func TestAlgorithmsAreNotApplied(t *testing.T) {
	const algorithms = "Ciphers aes128-ctr\nKexAlgorithms curve25519-sha256\nMACs hmac-sha2-256\nHostKeyAlgorithms ssh-ed25519\n"
	file := filepath.Join(t.TempDir(), "config")
	for _, path := range []string{os.Getenv("PATH"), t.TempDir()} {
		t.Setenv("PATH", path)
		var hosts []Host
		for _, config := range []string{"Port 7\n", "Port 7\n" + algorithms} {
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			h, err := resolve(t, "-F "+file+" box")
			if err != nil {
				t.Fatal(err)
			}
			hosts = append(hosts, h)
		}
		if diff := cmp.Diff(hosts[0], hosts[1], cmp.AllowUnexported(Host{})); diff != "" {
			t.Errorf("PATH %s (-without +with):\n%s", path, diff)
		}
	}
	if _, err := ParseTarget("-o Ciphers=aes128-ctr box"); err == nil {
		t.Error("an option is taken that is not applied")
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90": 90 * time.Second, "1m": time.Minute, "1h30m": 90 * time.Minute, "1W2D": 9 * 24 * time.Hour, "1m5": 65 * time.Second,
	} {
		if got, err := parseTime(text); got != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"m", "-1", "1y", "1 m", "99999999999", "2147483647w2147483647w"} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}

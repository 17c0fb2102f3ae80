package gateway

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSplitWords(t *testing.T) {
	for _, c := range []struct {
		line    string
		escapes bool
		want    []string
	}{
		{``, true, nil},
		{` a  b	c `, true, []string{"a", "b", "c"}},
		{`a 'b c' "d 'e'" ''`, true, []string{"a", "b c", "d 'e'", ""}},
		{`a\ b "c\"d\e" 'f\'`, true, []string{"a b", `c"d\e`, `f\`}},
		{`-i c:\keys\id host`, false, []string{"-i", `c:\keys\id`, "host"}},
		{`x'y'"z"`, true, []string{"xyz"}},
	} {
		got, err := splitWords(c.line, c.escapes)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v; want %q", c.line, got, err, c.want)
		}
	}
	for _, line := range []string{`'a`, `"a`, `a\`} {
		if got, err := splitWords(line, true); err == nil {
			t.Errorf("%s: got %q, want an error", line, got)
		}
	}
}

func TestParseSSH(t *testing.T) { // conformance 4
	option := func(pairs ...string) map[string][]string {
		m := make(map[string][]string)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = append(m[pairs[i]], pairs[i+1])
		}
		return m
	}
	for _, c := range []struct {
		text string
		want sshTarget
	}{
		{"host", sshTarget{host: "host", options: option()}},
		{"user@host:2222", sshTarget{host: "host", user: "user", port: "2222", options: option()}},
		{"user@[2001:db8::2]:22", sshTarget{host: "2001:db8::2", user: "user", port: "22", options: option()}},
		{"[::1]", sshTarget{host: "::1", options: option()}},
		{"::1", sshTarget{host: "::1", options: option()}},
		{"me@corp@host", sshTarget{host: "host", user: "me@corp", options: option()}},
		{"-i ~/.ssh/id -p 22100 user@host", sshTarget{host: "host", user: "user", options: option("identityfile", "~/.ssh/id", "port", "22100")}},
		{"-p22 -l me -J a,b:3 -F cfg -Tqo User=x -o 'ConnectTimeout 5' -- host", sshTarget{host: "host", configFile: "cfg",
			options: option("port", "22", "user", "me", "proxyjump", "a,b:3", "user", "x", "connecttimeout", "5")}},
	} {
		got, err := parseSSH(c.text)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(sshTarget{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.text, diff)
		}
	}
	for text, part := range map[string]string{
		"": "no host", "-p 22": "no host", "-p": "needs a value", "-p x host": `"x"`, "host:0": `"0"`, "host:99999": "99999", "host ls": `"ls"`,
		"-L 1:2:3 host": "-L", "-4 host": "-4", "-o ProxyUseFdpass=yes host": "ProxyUseFdpass", "-o User host": "KEYWORD=VALUE", "-o User= host": "needs a value",
		"@host": "no user", "[::1": "", "[]:22": "no host", "a/b": "no host", "'x": "quote", "-- -oProxyCommand=x": "no host",
	} {
		if got, err := parseSSH(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: got %+v, %v; want an error with %q", text, got, err, part)
		}
	}
}

// resolveIn resolves a destination with this configuration as the user's, by ssh or without it.
func resolveIn(t *testing.T, config, text string) (sshHost, error) {
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

func resolve(t *testing.T, text string) (sshHost, error) {
	t.Helper()
	target, err := parseSSH(text)
	if err != nil {
		t.Fatal(err)
	}
	return new(sshLookup).host(t.Context(), target)
}

func TestResolveSSH(t *testing.T) {
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

func TestResolveSSHRefuses(t *testing.T) {
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

// TestResolveSSHAgrees compares what is made of a file with what ssh says of it.
func TestResolveSSHAgrees(t *testing.T) {
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
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(sshHost{})); diff != "" {
			t.Errorf("%q (-ssh +own):\n%s", c.config, diff)
		}
	}
}

func TestParseSSHTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90": 90 * time.Second, "1m": time.Minute, "1h30m": 90 * time.Minute, "1W2D": 9 * 24 * time.Hour, "1m5": 65 * time.Second,
	} {
		if got, err := parseSSHTime(text); got != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"m", "-1", "1y", "1 m", "99999999999", "2147483647w2147483647w"} {
		if got, err := parseSSHTime(text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzKnownHosts(f *testing.F) {
	const key = " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
	for _, text := range []string{"box" + key, "@revoked *" + key, "|1|YQ==|YQ==" + key, "!a,[b]:*,," + key, "@x y z", "||" + key} {
		f.Add(text, "[box]:22")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		known := parseKnownHosts("known_hosts", []byte(text))
		for _, l := range known.of(name, "") { // must not panic
			if l.marker != "" || known.of(name, "").with(l.key) == nil {
				t.Errorf("%q: line %d is not found again", text, l.number)
			}
		}
	})
}

func TestMatchPattern(t *testing.T) {
	for _, c := range []struct {
		s, pattern string
		want       bool
	}{
		{"", "", true}, {"", "*", true}, {"a", "", false}, {"box", "b?x", true}, {"bx", "b?x", false}, {"box", "*x", true}, {"box", "x*", false},
		{"abcabd", "*ab?", true}, {"abcabd", "a*b*d*", true}, {"aaa", "*aab", false}, {"[1.2.3.4]:22", "[*]:*", true},
		{strings.Repeat("a", 10000), strings.Repeat("*a", 1000) + "*b", false}, // in no time
	} {
		if got := matchPattern(c.s, c.pattern); got != c.want {
			t.Errorf("%.20q, %.20q: %t", c.s, c.pattern, got)
		}
	}
}

func FuzzSSHFiles(f *testing.F) {
	for _, text := range []string{
		"Host \"a b\" !c\n Port 22\n", "Match host x exec \"y\" !final all\n", "Include *\n", "Key=\"v\" # c\n", "Match x=y\nA 'b\n",
	} {
		f.Add(text, "box")
	}
	f.Fuzz(func(t *testing.T, text, host string) {
		if strings.Contains(strings.ToLower(text), "include") {
			t.Skip("skipped: it could read anything")
		}
		s := &sshFiles{target: sshTarget{host: host}, settings: make(sshSettings), home: "/nowhere"}
		active := true
		for line := range strings.Lines(text) {
			s.line(sshFile{}, line, &active) // must not panic
		}
		parseSSHAnswer(text)
		parseSSHTime(text)
	})
}

func TestParseUname(t *testing.T) {
	for system, want := range map[string]string{
		"Linux x86_64": "linux/amd64", "Linux aarch64": "linux/arm64", "Linux armv7l": "linux/arm", "Linux s390x": "linux/s390x", "Linux i686": "linux/386",
		"Darwin arm64": "darwin/arm64", "FreeBSD amd64": "freebsd/amd64", "MINGW64_NT-10.0-19045 x86_64": "windows/amd64",
	} {
		goos, goarch, err := parseUname(system)
		if got := goos + "/" + goarch; err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", system, got, err, want)
		}
	}
	for _, system := range []string{"", "Linux", "Linux vax", "Plan9 x86_64"} {
		if goos, goarch, err := parseUname(system); err == nil {
			t.Errorf("%q: got %s/%s", system, goos, goarch)
		}
	}
}

func FuzzParseSSH(f *testing.F) {
	for _, text := range []string{"host", "-p 22 -i 'a b' u@[::1]:22", "-o K=V -J a,b h", "-- x", "-Tqp"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := parseSSH(text)
		if err == nil && (target.host == "" || strings.HasPrefix(target.host, "-") || strings.ContainsAny(target.host, " \n\x00")) {
			t.Errorf("%q names the host %q", text, target.host)
		}
		if hops, err := parseJump(text); err == nil {
			for _, h := range hops {
				if h.host == "" {
					t.Errorf("%q has an empty jump host", text)
				}
			}
		}
	})
}

func FuzzReadMarked(f *testing.F) {
	for _, text := range []string{"xdist-1 want Linux x86_64\n", "hello xdist-1 go 12 /x\r\n", "xdist-1 \n", "xdist-1", strings.Repeat("x", 9000)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := bufio.NewReaderSize(strings.NewReader(text), connBuffer)
		for {
			word, rest, err := readMarked(r, "xdist-1")
			if err != nil {
				break
			}
			if strings.ContainsAny(word+rest, "\n") || !strings.Contains(text, word) {
				t.Errorf("%q: %q %q", text, word, rest)
			}
		}
		parseUname(text) // must not panic
		awaitOne(bufio.NewReader(strings.NewReader(text)), announcement)
	})
}

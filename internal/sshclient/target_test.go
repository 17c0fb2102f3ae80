package sshclient

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTarget(t *testing.T) { // conformance 4
	option := func(pairs ...string) map[string][]string {
		m := make(map[string][]string)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = append(m[pairs[i]], pairs[i+1])
		}
		return m
	}
	for _, c := range []struct {
		text string
		want Target
	}{
		{"host", Target{host: "host", options: option()}},
		{"user@host:2222", Target{host: "host", user: "user", port: "2222", options: option()}},
		{"user@[2001:db8::2]:22", Target{host: "2001:db8::2", user: "user", port: "22", options: option()}},
		{"[::1]", Target{host: "::1", options: option()}},
		{"::1", Target{host: "::1", options: option()}},
		{"me@corp@host", Target{host: "host", user: "me@corp", options: option()}},
		{"-i ~/.ssh/id -p 22100 user@host", Target{host: "host", user: "user", options: option("identityfile", "~/.ssh/id", "port", "22100")}},
		{"-p22 -l me -J a,b:3 -F cfg -Tqo User=x -o 'ConnectTimeout 5' -- host", Target{host: "host", ConfigFile: "cfg",
			options: option("port", "22", "user", "me", "proxyjump", "a,b:3", "user", "x", "connecttimeout", "5")}},
	} {
		got, err := ParseTarget(c.text)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(Target{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.text, diff)
		}
	}
	for text, part := range map[string]string{
		"": "no host", "-p 22": "no host", "-p": "needs a value", "-p x host": `"x"`, "host:0": `"0"`, "host:99999": "99999", "host ls": `"ls"`,
		"-L 1:2:3 host": "-L", "-4 host": "-4", "-o ProxyUseFdpass=yes host": "ProxyUseFdpass", "-o User host": "KEYWORD=VALUE", "-o User= host": "needs a value",
		"@host": "no user", "[::1": "", "[]:22": "no host", "a/b": "no host", "'x": "quote", "-- -oProxyCommand=x": "no host",
	} {
		if got, err := ParseTarget(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: got %+v, %v; want an error with %q", text, got, err, part)
		}
	}
}

func FuzzParseSSH(f *testing.F) {
	for _, text := range []string{"host", "-p 22 -i 'a b' u@[::1]:22", "-o K=V -J a,b h", "-- x", "-Tqp"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseTarget(text)
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

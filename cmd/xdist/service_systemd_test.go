package main

import (
	"strings"
	"testing"

	"github.com/kardianos/service"
)

// What systemd would expand in a unit it finds as it was given; a service of the system has a user,
// and so a home directory.
func TestSystemdUnit(t *testing.T) {
	for _, tt := range []struct {
		user, name string
		root       bool
		want       []string
	}{
		{"me", "", false, []string{"\nWantedBy=default.target\n"}},
		{"root", "", true, []string{"\nUser=root\n", "\nWantedBy=multi-user.target\n", "\nAfter=network-online.target\n"}},
		{"another", "builder", true, []string{"\nUser=builder\n", "\nWantedBy=multi-user.target\n"}},
	} {
		config := &service.Config{
			Description: "100% so", Arguments: []string{"a b", `50% of $HOME`, `"q" \n`, "{{end}}", "two\nlines"},
			UserName: tt.name, Option: service.KeyValue{"UserService": !tt.root},
		}
		text := systemdUnit("/opt/my 5% $x/xdist", config)
		for _, want := range append(tt.want, "Description=100%% so\n",
			`ExecStart="/opt/my 5%% $x/xdist" "a b" "50%% of $$HOME" "\"q\" \\n" "\x7b\x7bend}}" "two\nlines"`+"\n") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: want %q in\n%s", tt.user, want, text)
			}
		}
		if tt.root == strings.Contains(text, "default.target") || !tt.root && strings.Contains(text, "User=") {
			t.Errorf("%s:\n%s", tt.user, text)
		}
	}
}

package gateway

import (
	"strings"
	"testing"

	"github.com/xdist-go/xdist/xspec"
)

func TestPowerShellCommand(t *testing.T) {
	if n := len(powerShellCommand()); n > 4000 {
		t.Errorf("the command has %d characters: cmd.exe takes 8191", n)
	}
	program := powerShellProgram(newBootstrap(nil, "", "", xspec.Spec{Env: []xspec.Var{{Name: "A", Value: "it's\n"}}}), knownAgent{})
	if strings.Contains(program, "\n") {
		t.Error("the program is not one line")
	}
}

func TestPowerShellArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"agent"}, "agent"},
		{[]string{"a b", "", `c:\dir\`, `c:\my dir\`, `say "x"`, `\"`}, `"a b" "" c:\dir\ "c:\my dir\\" "say \"x\"" "\\\""`},
	} {
		if got := powerShellArguments(c.args); got != c.want {
			t.Errorf("%q: got %s, want %s", c.args, got, c.want)
		}
	}
	if got, want := powerShellQuote("it's ’x"), "'it''s ’’x'"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

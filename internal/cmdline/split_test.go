package cmdline

import (
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
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
		got, err := Split(c.line, c.escapes)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v; want %q", c.line, got, err, c.want)
		}
	}
	for _, line := range []string{`'a`, `"a`, `a\`} {
		if got, err := Split(line, true); err == nil {
			t.Errorf("%s: got %q, want an error", line, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got, want := Printable("a\x1b[2J\tb\u009bé\x7f\xff"), "a [2J b é \ufffd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Join is undone by Split, and by a shell.
func TestJoin(t *testing.T) {
	words := []string{"xdist", "--tx", "2*popen", "-run", "TestA|TestB/it's", "", "a b", `back\slash`, "$HOME", "é\n", "./..."}
	line := Join(words)
	got, err := Split(line, true)
	if err != nil || !slices.Equal(got, words) {
		t.Errorf("%s gives %q, %v", line, got, err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("there is no shell to ask")
	}
	out, err := exec.Command("sh", "-c", `printf '%s\0' `+line).Output()
	if want := strings.Join(words, "\x00") + "\x00"; err != nil || string(out) != want {
		t.Errorf("a shell makes %q of %s, %v", out, line, err)
	}
}

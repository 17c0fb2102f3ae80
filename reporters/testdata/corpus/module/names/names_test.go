package names

import (
	"strings"
	"testing"
)

func TestÜmläute(t *testing.T) {}

func TestNames(t *testing.T) {
	for _, name := range []string{
		"with a space", "日本語", `quote"and'tick`, "</script><b>&amp;", "a/b//c", "new\nline\ttab", "#00", "", "::error file=x::y", "##teamcity[x]|'", "[a] %s %25", `back\slash`, "\x00\x1b[31mred", strings.Repeat("long ", 60), "emoji 👩‍👩‍👧", "right\u202eleft",
	} {
		t.Run(name, func(t *testing.T) {
			if strings.ContainsAny(name, "<:[\n") {
				t.Errorf("%q is odd", name)
			}
		})
	}
}

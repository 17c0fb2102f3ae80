package cmdline

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"agent", "cache", "clean", "doctor", "exec", "history", "list", "net", "serve"}
	for word, want := range map[string]string{
		"histroy": "history", "docter": "doctor", "fmt": "", "net": "net", "cach": "cache", "listt": "list", "lsit": "list",
		"LIST": "list", "": "", "x": "", strings.Repeat("list", 100): "",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("%.20s: %q, want %q", word, got, want)
		}
	}
}

func TestIsNear(t *testing.T) {
	long := strings.Repeat("a", 201)
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"sum", "smu", true}, {"sum", "Sum", true}, {"sum", "su", true}, {"sum", "sun", true}, {"sum", "map", false},
		{"square", "squire", true}, {"square", "sqr", false}, {"", "a", true}, {"", "abc", false},
		{long, strings.ToUpper(long), true}, {long, long + "a", false},
	} {
		if IsNear(c.a, c.b) != c.want || IsNear(c.b, c.a) != c.want {
			t.Errorf("%.9q and %.9q: want %t", c.a, c.b, c.want)
		}
	}
}

package sshclient

import (
	"strings"
	"testing"
)

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

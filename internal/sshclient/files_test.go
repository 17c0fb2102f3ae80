package sshclient

import (
	"strings"
	"testing"
)

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
		s := &files{target: Target{host: host}, settings: make(settings), home: "/nowhere"}
		active := true
		for line := range strings.Lines(text) {
			s.line(configFile{}, line, &active) // must not panic
		}
		parseAnswer(text)
		parseTime(text)
	})
}

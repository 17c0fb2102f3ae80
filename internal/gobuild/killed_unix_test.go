//go:build unix

package gobuild

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the system kills for want of memory is made once more with half of the parallelism. If that
// is killed too, the error says what to do. Other failures are not tried again.
func TestKilledBuild(t *testing.T) {
	for _, tt := range []struct {
		name         string
		first, again string // what the go command does
		tries        int
		want         string // of the error; "" is none
	}{
		{"the go command", "kill -9 $$", "make", 2, ""},
		{"a compiler", "fail /go/tool/compile: signal: killed", "make", 2, ""},
		{"a C compiler", "fail 'gcc: fatal error: Killed signal terminated program cc1'", "make", 2, ""},
		{"twice", "kill -9 $$", "kill -9 $$", 2, killedAdvice},
		{"a tool twice", "fail link: signal: killed", "fail link: signal: killed", 2, killedAdvice},
		{"a mistake", "fail a.go:1: undefined: x", "make", 1, "undefined: x"},
		{"a mistake that is found then", "kill -9 $$", "fail a.go:1: undefined: x", 2, "undefined: x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			goCommand, log := filepath.Join(dir, "go"), filepath.Join(dir, "log")
			write(t, goCommand, `#!/bin/sh
echo "$*" >>'`+log+`'
for arg; do [ "$before" = -o ] && out=$arg; before=$arg; done
make() { echo made >"$out"; }
fail() { echo "$*" >&2; exit 1; }
case $(wc -l <'`+log+`') in *1) `+tt.first+`;; *) `+tt.again+`;; esac
`)
			d := Dir{Path: filepath.Join(dir, "kept"), Go: goCommand}
			write(t, filepath.Join(d.Path, "x"), "")
			work, remove, err := d.Work()
			if err != nil {
				t.Fatal(err)
			}
			defer remove()
			name := filepath.Join(d.Path, "made")
			err = d.Build(t.Context(), dir, work, os.Environ(), name, "-trimpath", ".")
			text, readErr := os.ReadFile(log)
			if readErr != nil {
				t.Fatal(readErr)
			}
			calls := strings.Split(strings.TrimSpace(string(text)), "\n")
			if len(calls) != tt.tries || strings.Contains(calls[0], " -p=") || tt.tries > 1 && !strings.Contains(calls[1], " -p=") {
				t.Errorf("the go command was called with %q", calls)
			}
			if tt.want == "" {
				if text, readErr := os.ReadFile(name); err != nil || readErr != nil || string(text) != "made\n" {
					t.Errorf("%q, %v, %v", text, readErr, err)
				}
				return
			}
			if _, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if tt.want != killedAdvice && strings.Contains(err.Error(), killedAdvice) {
				t.Errorf("error %v", err)
			}
		})
	}
}

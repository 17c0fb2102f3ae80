package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestRecording has an event come in two parts, and others beside it.
func TestRecording(t *testing.T) {
	gone := errors.New("the process has ended")
	for _, tt := range []struct {
		test  string
		calls int
	}{{"TestWaits", 1}, {"TestOther", 0}, {"", 0}} {
		calls := 0
		r := &recording{test: tt.test, begins: func() error { calls++; return gone }}
		var err error
		const begin = `{"event":"progress","action":"run","test":"TestWaits"}` + "\n"
		for _, part := range []string{`{"event":"start"}` + "\n" + begin[:30], begin[30:], begin} {
			if _, werr := r.Write([]byte(part)); werr != nil {
				err = werr
			}
		}
		if calls != tt.calls || errors.Is(err, gone) != (tt.calls > 0) || r.begun != (tt.calls > 0) {
			t.Errorf("%q: %d calls, want %d; begun: %v, %v", tt.test, calls, tt.calls, r.begun, err)
		}
		if want := `{"event":"start"}` + "\n" + begin + begin; string(r.text) != want {
			t.Errorf("%q: recorded %q", tt.test, r.text)
		}
	}
}

// TestRunTells has what is no run of xdist's fail in different ways, and wants the reason.
func TestRunTells(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: there are no scripts without an extension")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	const waits = `echo '{"event":"progress","action":"run","test":"TestWaits"}'; exec sleep 60`
	for _, tt := range []struct {
		name, script string
		ctx          context.Context
		scenario     scenario
		want         string // "" is that it succeeds
	}{
		{"as it should", "echo event; exit 1", t.Context(), scenario{status: 1}, ""},
		{"another status", "exit 3", t.Context(), scenario{status: 1}, "exit status 3, want exit status 1"},
		{"no failure", "exit 0", t.Context(), scenario{status: 1}, "exit status 0, want exit status 1"},
		{"a signal", "kill -KILL $$", t.Context(), scenario{}, "signal: killed, want exit status 0"},
		{"interrupted", waits, t.Context(), scenario{interrupt: "TestWaits", status: -1}, ""},
		{"not interrupted", "exit 0", t.Context(), scenario{interrupt: "TestWaits"}, "TestWaits never began"},
		{"no time", "exit 0", ended, scenario{}, "context canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			r := &recorder{work: dir, xdist: filepath.Join(dir, "xdist"), module: dir}
			if err := os.WriteFile(r.xdist, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := r.run(tt.ctx, tt.scenario)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if err := record(t.Context(), []string{"pass", "nothing"}); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("what is not there: %v", err)
	}
}

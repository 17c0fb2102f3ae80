package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/xspec"
)

func TestConclude(t *testing.T) {
	ran := event.Summary{Collected: 3}
	with := func(change func(*event.Summary)) event.Summary {
		s := ran
		change(&s)
		return s
	}
	for _, tt := range []struct {
		name    string
		summary event.Summary
		err     error
		want    status
	}{
		{"all passed", ran, nil, statusPassed},
		{"a package failed", with(func(s *event.Summary) { s.Failed = 1 }), nil, statusFailed},
		{"failed and not built", with(func(s *event.Summary) { s.Failed, s.BuildFailed = 1, 1 }), nil, statusFailed},
		{"not built", with(func(s *event.Summary) { s.BuildFailed = 1 }), nil, statusBuild},
		{"nothing", event.Summary{}, nil, statusNothing},
		{"none ran", with(func(s *event.Summary) { s.NothingRan = "x" }), nil, statusNothing},
		{"failed, and none ran", with(func(s *event.Summary) { s.Failed, s.NothingRan = 1, "x" }), nil, statusFailed},
		{"interrupted comes before failures", with(func(s *event.Summary) { s.Interrupted, s.Failed = true, 1 }), nil, statusInterrupted},
		{"a broken account comes before failures", with(func(s *event.Summary) { s.Unbalanced, s.Failed = "x", 1 }), nil, statusUnbalanced},
		{"an error of xdist's own comes before green", ran, errors.New("disk full"), statusInternal},
		{"a spec", ran, &xspec.Error{Spec: "x"}, statusUsage},
		{"no packages", event.Summary{}, &gotest.NoPackagesError{}, statusNothing},
	} {
		err := conclude(tt.summary, tt.err, false)
		got := statusPassed
		var ended *endedError
		if errors.As(err, &ended) {
			got = ended.status
		}
		if got != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
		}
	}
}

// The table of exit statuses stands in the README and in the help text; both are this one.
func TestStatusTableIsDocumented(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var help strings.Builder
	app := newApp(&help, &help)
	if err := app.Run(splitArgs([]string{"xdist", "--help"})); err != nil {
		t.Fatal(err)
	}
	for _, s := range statuses {
		for name, text := range map[string]string{"README.md": string(readme), "xdist --help": strings.Join(strings.Fields(help.String()), " ")} {
			if !strings.Contains(text, s.text) {
				t.Errorf("%s does not say %q for status %d", name, s.text, s.status)
			}
		}
	}
}

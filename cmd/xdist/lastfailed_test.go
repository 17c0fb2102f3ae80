package main

import "testing"

// The line that a report ends with does the same again, whatever is whose.
func TestAgainCommand(t *testing.T) {
	for _, tt := range []struct {
		name     string
		args     []string
		stepwise bool
		want     string
	}{
		{"packages and flags", []string{"-n", "2", "./...", "-race"}, false, "xdist --last-failed -n 2 ./... -race"},
		{"it was said already", []string{"--lf", "-n", "2"}, false, "xdist --last-failed -n 2"},
		{"with a value", []string{"--last-failed=true", "--failed-first=false", "./..."}, false, "xdist --last-failed ./..."},
		{"a step", []string{"--sw=true", "./..."}, true, "xdist --stepwise ./..."},
		{"a step by the configuration", []string{"./..."}, true, "xdist --stepwise ./..."},
		{"the binary's own flags", []string{"./...", "-ff", "-args", "--lf", "-sw"}, false, "xdist --last-failed ./... -ff -args --lf -sw"},
		{"a value that looks like a flag", []string{"--html", "--lf", "./..."}, false, "xdist --last-failed --html --lf ./..."},
		{"go test's alone", []string{"-n", "2", "--", "-n", "--lf", "./..."}, false, "xdist --last-failed -n 2 -- -n --lf ./..."},
		{"what a shell would change", []string{"--tx", "ssh=a b", "./...", "-run", "A|B", "-args", "$X", "it's"}, false, `xdist --last-failed --tx 'ssh=a b' ./... -run 'A|B' -args '$X' 'it'\''s'`},
		{"nothing", nil, false, "xdist --last-failed"},
		{"a flag without its value", []string{"--html"}, false, "xdist --last-failed --html"},
	} {
		if got := againCommand(tt.args, tt.stepwise); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/xspec"
)

// mustOpen opens the places of a root, which are released with the test.
func mustOpen(t *testing.T, dir, root string, specs ...string) *places {
	t.Helper()
	expanded, err := xspec.Expand(append([]string{"popen"}, specs...), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPlaces(dir, root, expanded)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.release)
	return p
}

func (p *places) mustClaim(t *testing.T, tried ...string) string {
	t.Helper()
	place, err := p.claim(tried)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// Runs in one module at once have places of their own; one after the other they have the same.
func TestPlaceOfAMirror(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirrors")
	run := mustOpen(t, dir, "/mod")
	first := run.mustClaim(t)
	second := mustOpen(t, dir, "/mod").mustClaim(t)
	other := mustOpen(t, dir, "/other").mustClaim(t)
	elsewhere := mustOpen(t, filepath.Join(t.TempDir(), "mirrors"), "/mod").mustClaim(t)
	names := []string{first, second, other, elsewhere}
	slices.Sort(names)
	if len(slices.Compact(names)) != 4 {
		t.Errorf("places %s, %s, %s and %s", first, second, other, elsewhere)
	}
	run.release()
	if again := mustOpen(t, dir, "/mod").mustClaim(t); again != first {
		t.Errorf("the place was %s and is %s", first, again)
	}
}

// A run goes from a name that is taken to the next one, which all of its hosts may have. What it
// prefers at the end is what the next one begins with, if that has such specs.
func TestPlacesThatAreTaken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirrors")
	run := mustOpen(t, dir, "/mod", "ssh=a", "ssh=b")
	first := run.mustClaim(t)
	second := run.mustClaim(t, first)
	if again := run.mustClaim(t, first); again != second {
		t.Errorf("another host of the run gets %s, want %s", again, second)
	}
	if again := run.mustClaim(t, second); again != first {
		t.Errorf("who cannot have the second gets %s, want the first, %s", again, first)
	}
	run.prefer(second)
	run.release()
	for _, tt := range []struct {
		specs []string
		want  string
	}{{[]string{"2*ssh=b", "ssh=a//nice=1"}, second}, {[]string{"ssh=a"}, first}} {
		next := mustOpen(t, dir, "/mod", tt.specs...)
		if got := next.mustClaim(t); got != tt.want {
			t.Errorf("the next run with %q begins with %s, want %s", tt.specs, got, tt.want)
		}
		next.release()
	}
	run.prefer("xdist-of-another")
	if got := run.mustClaim(t); got != first {
		t.Errorf("with a name to begin with that is none of its own a run has %s, want %s", got, first)
	}
	var tried []string
	for range placesAtMost {
		tried = append(tried, run.mustClaim(t, tried...))
	}
	if place, err := run.claim(tried); err == nil {
		t.Errorf("after all names there is %s", place)
	}
}

// Accounts on hosts have mirrors of their own.
func TestAccountsHavePlacesOfTheirOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirrors")
	named := make(map[string]string)
	for _, texts := range [][]string{
		{"ssh=host"}, {"ssh=ann@host"}, {"ssh=bob@host"}, {"ssh=-l carl host"}, {"ssh=ann@host", "ssh=bob@host"},
	} {
		place := mustOpen(t, dir, "/mod", texts...).name(0)
		if other, ok := named[place]; ok {
			t.Errorf("%q and %q have one place", texts, other)
		}
		named[place] = strings.Join(texts, " ")
	}
}

// Who has seen a name does not know the others: nothing but a secret tells them, which nobody else
// can read. One that others could have read is not used.
func TestNamesOfPlacesAreSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirrors")
	p := mustOpen(t, dir, "/mod")
	form := regexp.MustCompile(`^xdist-[0-9a-f]{20}$`)
	for i := range 3 {
		name, next := p.name(i), p.name(i+1)
		if !form.MatchString(name) || name[:12] == next[:12] || name[16:] == next[16:] {
			t.Errorf("names %s and %s", name, next)
		}
	}
	file := filepath.Join(dir, "controller")
	for what, damage := range map[string]func() error{
		"missing": func() error { return os.Remove(file) },
		"empty":   func() error { return os.Truncate(file, 0) },
		"open":    func() error { return os.Chmod(file, 0o644) },
	} {
		if what == "open" && runtime.GOOS == "windows" {
			continue // modes say nothing there
		}
		before := mustOpen(t, dir, "/mod").name(0)
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		after := mustOpen(t, dir, "/mod").name(0)
		if after == before || after != mustOpen(t, dir, "/mod").name(0) {
			t.Errorf("%s: the name was %s and is %s", what, before, after)
		}
		info, err := os.Lstat(file)
		if err != nil || info.Size() < 26 || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: the secret has %d bytes and mode %v, %v", what, info.Size(), info.Mode(), err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "controller-*")); len(left) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/xspec"
)

// Runs in one module at once have places of their own; one after the other they have the same.
func TestPlaceOfAMirror(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirrors")
	claim := func(root string) (string, func()) {
		t.Helper()
		place, release, err := claimPlace(dir, root, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		return place, release
	}
	first, release := claim("/mod")
	second, _ := claim("/mod")
	other, _ := claim("/other")
	if first == second || first == other || second == other {
		t.Errorf("places %s, %s and %s", first, second, other)
	}
	release()
	if again, _ := claim("/mod"); again != first {
		t.Errorf("the place was %s and is %s", first, again)
	}
	if err := os.WriteFile(filepath.Join(dir, first+takenSuffix), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if next, _ := claim("/mod"); next == first || next == second {
		t.Errorf("%s is another user's on some host, and is claimed again", next)
	}
	elsewhere, release, err := claimPlace(filepath.Join(t.TempDir(), "mirrors"), "/mod", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if elsewhere == first {
		t.Error("two controllers have one place")
	}
}

// Accounts on hosts have mirrors of their own.
func TestAccountsHavePlacesOfTheirOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirrors")
	places := make(map[string]string)
	for _, texts := range [][]string{
		{"ssh=host"}, {"ssh=ann@host"}, {"ssh=bob@host"}, {"ssh=-l carl host"}, {"ssh=ann@host", "ssh=bob@host"},
	} {
		specs, err := xspec.Expand(texts, nil)
		if err != nil {
			t.Fatal(err)
		}
		place, release, err := claimPlace(dir, "/mod", accounts(specs))
		if err != nil {
			t.Fatal(err)
		}
		release()
		if other, ok := places[place]; ok {
			t.Errorf("%q and %q have one place", texts, other)
		}
		places[place] = strings.Join(texts, " ")
	}
}

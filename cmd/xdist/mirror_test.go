package main

import (
	"path/filepath"
	"testing"
)

// Runs in one module at once have places of their own; one after the other they have the same.
func TestPlaceOfAMirror(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirrors")
	claim := func(root string) (string, func()) {
		t.Helper()
		place, release, err := claimPlace(dir, root)
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
	elsewhere, release, err := claimPlace(filepath.Join(t.TempDir(), "mirrors"), "/mod")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if elsewhere == first {
		t.Error("two controllers have one place")
	}
}

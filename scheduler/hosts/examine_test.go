package hosts

import (
	"os"
	"path/filepath"
	"testing"
)

// What doctor makes to see whether mirrors can be made is gone afterwards, with what it is in if
// that was not there.
func TestTryPlace(t *testing.T) {
	base := t.TempDir()
	for _, place := range []string{base, filepath.Join(base, "new", "place")} {
		if _, err := tryPlace(place); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		left, err := os.ReadDir(base)
		if err != nil || len(left) > 0 {
			t.Errorf("%s: left are %v, %v", place, left, err)
		}
	}
	if _, err := tryPlace("place"); err == nil {
		t.Error("a relative name is taken")
	}
}

// Package golden has a test that writes its golden file, and fails, when there is none.
package golden

import (
	"os"
	"testing"
)

func TestBefore(t *testing.T) {}

func TestGolden(t *testing.T) {
	want, err := os.ReadFile("missing.golden")
	if err != nil {
		if err := os.WriteFile("missing.golden", []byte("text"), 0o666); err != nil {
			t.Fatal(err)
		}
		t.Fatal("the golden file was missing and has been written")
	}
	if string(want) != "text" {
		t.Errorf("got %q, want %q", "text", want)
	}
}

func TestAfter(t *testing.T) {}

package agents

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/xdist-go/xdist/internal/gobuild"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// Sources are unpacked once, and old ones go.
func TestUnpack(t *testing.T) {
	dir := t.TempDir()
	first, err := Unpack(tiny(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(first, "cmd", "a", "main.go"))
	if err != nil || string(text) != string(tiny()["cmd/a/main.go"].Data) {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(first, "cmd", "a", "main_test.go")); err == nil {
		t.Error("a test is among them")
	}
	write(t, filepath.Join(first, "mark"), "")
	if again, err := Unpack(tiny(), dir); err != nil || again != first {
		t.Errorf("once more: %s, %v, was %s", again, err, first)
	}
	if _, err := os.Stat(filepath.Join(first, "mark")); err != nil {
		t.Error("they were written twice")
	}
	past := time.Now().Add(-gobuild.UnusedFor - time.Hour)
	if err := os.Chtimes(first, past, past); err != nil {
		t.Fatal(err)
	}
	other := tiny()
	other["go.mod"].Data = append(other["go.mod"].Data, '\n')
	second, err := Unpack(other, dir)
	if err != nil || second == first {
		t.Errorf("others: %s, %v", second, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(second) {
		t.Errorf("left are %v, %v", entries, err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(second, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Unpack(other, dir); !errors.Is(err, ownfile.ErrShared) {
			t.Errorf("others may write to what is there: %v", err)
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Unpack(tiny(), dir); !errors.Is(err, ownfile.ErrShared) {
			t.Errorf("others may write to the directory: %v", err)
		}
	}
	if _, err := Unpack(nil, dir); err == nil {
		t.Error("no sources were unpacked")
	}
}

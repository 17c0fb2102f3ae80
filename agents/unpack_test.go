package agents

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdist-go/xdist/internal/gobuild"
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
	if _, err := Unpack(nil, dir); err == nil {
		t.Error("no sources were unpacked")
	}
}

package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestGrowTree: the tree has its files, is the same each time, and is made of text.
func TestGrowTree(t *testing.T) {
	var sums [2]int64
	for i := range sums {
		dir := t.TempDir()
		if err := growTree(dir, 200, 0.1); err != nil {
			t.Fatal(err)
		}
		files := 0
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files++
				b, _ := os.ReadFile(path)
				for _, c := range b {
					sums[i] = sums[i]*31 + int64(c)
				}
			}
			return err
		})
		if files != 200 {
			t.Errorf("%d files, want 200", files)
		}
	}
	if sums[0] != sums[1] {
		t.Error("two trees differ")
	}
}

// TestFleet starts servers and lets ssh run a command on each, whose home is its own.
func TestFleet(t *testing.T) {
	b := &bench{work: t.TempDir(), log: io.Discard}
	f, err := b.startFleet(t.Context(), 2)
	if errors.Is(err, errUnavailable) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	for _, s := range f.servers {
		run, err := b.run(context.WithoutCancel(t.Context()), b.work, "ssh", "-F", f.config, s.name, "echo $HOME")
		if err != nil || run.status != 0 || lastLines(run.log, 1) != "    "+s.home {
			t.Errorf("%s: %v, status %d:\n%s", s.name, err, run.status, lastLines(run.log, 10))
		}
	}
}

// TestErrand opens a gateway and syncs a directory with an agent of this executable.
func TestErrand(t *testing.T) {
	root, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(filepath.Join(root, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv(agentVariable, "1")
	e := errand{Specs: []string{"popen"}, Dirs: []string{target}, Root: root}
	for want := 1; want >= 0; want-- {
		r, err := e.run(t.Context())
		if err != nil || r.Files != want || r.Entries != 1 || r.Open <= 0 || r.Send <= 0 || r.End <= 0 {
			t.Errorf("%+v, %v; want %d files", r, err, want)
		}
	}
	if b, err := os.ReadFile(filepath.Join(target, "file")); string(b) != "content" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

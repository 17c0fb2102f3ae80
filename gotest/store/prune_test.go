package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestEvictionOrder shows that what was used last stays, by whatever it was used.
func TestEvictionOrder(t *testing.T) {
	s := open(t, t.TempDir())
	const size = 3 * blockSize
	digests := map[string]Digest{}
	for i, name := range []string{"oldest", "run", "put", "young"} {
		digests[name] = put(t, s, name, size-i) // counts as size
		age(t, mustPath(t, s, digests[name]), time.Duration(10-i)*time.Minute)
	}
	for i, key := range []string{"old record", "read record"} {
		if err := s.PutRecord(key, []byte("value")); err != nil {
			t.Fatal(err)
		}
		age(t, s.recName(key), time.Duration(20-i)*time.Minute)
	}

	r := begin(t, s)
	if _, err := r.Binary(t.Context(), digests["run"], "x"); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if put(t, s, "put", size-2) != digests["put"] {
		t.Fatal("another digest")
	}
	if _, ok := s.GetRecord("read record"); !ok {
		t.Fatal("missing")
	}

	// 4 binaries of 3 blocks and 2 records of 1 are 14 blocks.
	for _, step := range []struct {
		blocks int64
		gone   string
	}{{14, ""}, {13, "old record"}, {12, "oldest"}, {9, "young"}} {
		done := prune(t, s, step.blocks*blockSize)
		if (done.Files == 1) != (step.gone != "") || done.Files > 1 {
			t.Errorf("down to %d blocks: %+v, want %q gone", step.blocks, done, step.gone)
		}
		found := false
		if step.gone == "old record" {
			_, found = s.GetRecord(step.gone)
		} else if step.gone != "" {
			_, _, found = s.find(digests[step.gone])
		}
		if found {
			t.Errorf("down to %d blocks: %q is still there", step.blocks, step.gone)
		}
	}
	for _, name := range []string{"run", "put"} {
		mustPath(t, s, digests[name])
	}
	if done := prune(t, s, 1); done.Files != 3 || done.Bytes != 7*blockSize {
		t.Errorf("everything: %+v, want 3 files and 7 blocks", done)
	}
}

// TestPruneBound shows what zero and negative mean.
func TestPruneBound(t *testing.T) {
	s, err := Open(t.TempDir(), 2*blockSize, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		put(t, s, fmt.Sprint(i), blockSize)
	}
	if done := prune(t, s, -1); done.Files != 0 {
		t.Errorf("no bound: %+v", done)
	}
	if done := prune(t, s, 0); done.Files != 2 {
		t.Errorf("the store's bound: %+v, want 2 files removed", done)
	}
	if s, err := Open(t.TempDir(), 0, nil); err != nil || s.max != DefaultMaxBytes {
		t.Errorf("default bound %d, %v", s.max, err)
	}
}

// TestPruneBusy shows that only one prune works at a time.
func TestPruneBusy(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", 10)
	lock, err := makeLock(filepath.Join(s.Dir(), pruneLock))
	if err != nil {
		t.Fatal(err)
	}
	if done := prune(t, s, 1); done != (Pruned{Busy: true}) {
		t.Errorf("%+v", done)
	}
	lock.Close()
	if done := prune(t, s, 1); done.Files != 1 {
		t.Errorf("%+v", done)
	}
}

// TestStaleTemp shows that files of a crashed process go when they are old, and that a link to an
// old file is not old.
func TestStaleTemp(t *testing.T) {
	s := open(t, t.TempDir())
	for _, name := range []string{"put-old", "put-young"} {
		if err := os.WriteFile(filepath.Join(s.Dir(), tmpDir, name), []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	age(t, filepath.Join(s.Dir(), tmpDir, "put-old"), staleAfter+time.Minute)
	path, _ := source(t, "a", 10)
	age(t, path, 10*staleAfter)
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, ok := s.stageLink(in); !ok {
		t.Log("no hard links here; nothing to show of them")
	}
	before := len(tree(t, s.Dir()))
	if done := prune(t, s, -1); done.Rubbish != 1 {
		t.Errorf("pruned %+v, want put-old", done)
	}
	files := tree(t, s.Dir())
	if len(files) != before || slices.Contains(files, "_tmp/put-old") || !slices.Contains(files, "_tmp/put-young") { // prune.lock is new
		t.Errorf("left: %q", files)
	}
}

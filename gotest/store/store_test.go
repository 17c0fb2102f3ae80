package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, -1, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// source makes a file of n bytes that differs with seed, and returns its path and content.
func source(t *testing.T, seed string, n int) (string, []byte) {
	t.Helper()
	text := bytes.Repeat([]byte(seed+"\n"), n/(len(seed)+1)+1)[:n]
	path := filepath.Join(t.TempDir(), "source.test")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, text
}

func put(t *testing.T, s *Store, seed string, n int) Digest {
	t.Helper()
	path, _ := source(t, seed, n)
	d, err := s.Put(t.Context(), path, Link)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func begin(t *testing.T, s *Store) *Run {
	t.Helper()
	r, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func prune(t *testing.T, s *Store, maxBytes int64) Pruned {
	t.Helper()
	done, err := s.Prune(t.Context(), maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// age sets when a file was used last.
func age(t *testing.T, path string, d time.Duration) {
	t.Helper()
	when := time.Now().Add(-d)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

func mustPath(t *testing.T, s *Store, d Digest) string {
	t.Helper()
	path, _, ok := s.find(d)
	if !ok {
		t.Fatalf("%s is not in the store", d)
	}
	return path
}

// tree returns the files below dir, by their paths in it.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestPut shows what a binary is in the store: its digest, content, mode, and whether it is a link.
func TestPut(t *testing.T) {
	for _, how := range []How{Link, Copy} {
		s := open(t, filepath.Join(t.TempDir(), "new", "store"))
		path, text := source(t, "a", 300_000)
		d, err := s.Put(t.Context(), path, how)
		if err != nil {
			t.Fatal(err)
		}
		if d != sha256.Sum256(text) {
			t.Errorf("digest %s is not that of the content", d)
		}
		stored := mustPath(t, s, d)
		got, err := os.ReadFile(stored)
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("stored %d bytes (%v), want the %d of the source", len(got), err, len(text))
		}
		info, err := os.Stat(stored)
		if err != nil {
			t.Fatal(err)
		}
		original, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o111 == 0 && filepath.Separator == '/' {
			t.Errorf("mode %v is not executable", info.Mode())
		}
		if linked := os.SameFile(info, original); linked != (how == Link) {
			t.Errorf("how %d: linked is %v", how, linked)
		}
		if again, err := s.Put(t.Context(), path, how); again != d || err != nil {
			t.Errorf("again: %s, %v", again, err)
		}
		if files := tree(t, s.Dir()); len(files) != 1 {
			t.Errorf("files in the store: %q, want one", files)
		}
	}
}

// TestPutErrors shows that what is wrong with the source is not blamed on the store, and leaves
// nothing.
func TestPutErrors(t *testing.T) {
	s := open(t, t.TempDir())
	for _, how := range []How{Link, Copy} {
		_, err := s.Put(t.Context(), filepath.Join(t.TempDir(), "missing"), how)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing: %v", err)
		}
		if _, err = s.Put(t.Context(), t.TempDir(), how); err == nil || errors.Is(err, ErrReadOnly) {
			t.Errorf("a directory: %v", err)
		}
		path, _ := source(t, "a", 10)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = s.Put(ctx, path, how); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	if files := tree(t, s.Dir()); len(files) > 0 {
		t.Errorf("left in the store: %q", files)
	}
}

// TestPutSymlink shows that a symbolic link is followed, not linked.
func TestPutSymlink(t *testing.T) {
	s := open(t, t.TempDir())
	path, text := source(t, "a", 10)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	d, err := s.Put(t.Context(), link, Link)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(mustPath(t, s, d)); !bytes.Equal(got, text) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestTruncated shows that a binary that lost its end is a miss everywhere, and can be put again.
func TestTruncated(t *testing.T) {
	s := open(t, t.TempDir())
	path, _ := source(t, "a", 5000)
	damage := func() Digest {
		d, err := s.Put(t.Context(), path, Copy)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(mustPath(t, s, d), 4999); err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := damage()
	if got, err := s.Put(t.Context(), path, Copy); got != d || err != nil {
		t.Errorf("put again: %s, %v", got, err)
	}
	mustPath(t, s, d)
	damage()
	if _, _, ok := s.find(d); ok {
		t.Error("find finds a truncated binary")
	}
	damage()
	if _, err := begin(t, s).Binary(t.Context(), d, "a.test"); !errors.Is(err, ErrMissing) {
		t.Errorf("Binary of a truncated binary: %v", err)
	}
	damage()
	if done := prune(t, s, -1); done.Files != 1 {
		t.Errorf("pruned %+v, want the truncated file", done)
	}
}

func BenchmarkPut10MB(b *testing.B) {
	s, err := Open(b.TempDir(), -1, nil)
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "big.test")
	if err := os.WriteFile(path, bytes.Repeat([]byte("0123456789"), 1e6), 0o755); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(1e7)
	for b.Loop() {
		if _, err := s.Put(b.Context(), path, Link); err != nil {
			b.Fatal(err)
		}
	}
}

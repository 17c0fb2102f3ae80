package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestStorm lets goroutines of this process and two others put, run, read, and prune in one
// directory. Whoever was given a binary must find it whole until the end of the run.
func TestStorm(t *testing.T) {
	dir := t.TempDir()
	var others []*exec.Cmd
	for range 2 {
		cmd := helper(t, "storm", dir)
		cmd.Stdout = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		others = append(others, cmd)
	}
	if err := storm(t.Context(), dir, 100); err != nil {
		t.Error(err)
	}
	for _, cmd := range others {
		if err := cmd.Wait(); err != nil {
			t.Errorf("another process: %v", err)
		}
	}
	s := open(t, dir)
	prune(t, s, 1)
	if files := tree(t, dir); len(files) != 1 || files[0] != pruneLock {
		t.Errorf("left: %q", files)
	}
}

// storm works on the store in dir with several goroutines, each in turns.
func storm(ctx context.Context, dir string, turns int) error {
	s, err := Open(dir, 8*blockSize, nil)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "xdist-storm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	errc := make(chan error)
	const goroutines = 6
	for g := range goroutines {
		go func() {
			var err error
			for turn := range turns {
				if err = stormTurn(ctx, s, filepath.Join(work, fmt.Sprintf("%d-%d", g, turn))); err != nil {
					break
				}
			}
			errc <- err
		}()
	}
	for range goroutines {
		err = errors.Join(err, <-errc)
	}
	return err
}

func stormTurn(ctx context.Context, s *Store, path string) error {
	n := rand.IntN(12)
	text := bytes.Repeat([]byte{byte('a' + n)}, 1000*(n+1))
	if err := os.WriteFile(path, text, 0o755); err != nil {
		return err
	}
	d, err := s.Put(ctx, path, How(n%2))
	if err != nil {
		return err
	}
	key := fmt.Sprint(n)
	if err := s.PutRecord(key, text); err != nil {
		return err
	}
	r, err := s.Begin()
	if err != nil {
		return err
	}
	defer r.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.Prune(ctx, 0) })
	name, err := r.Binary(ctx, d, "x.test")
	if errors.Is(err, ErrMissing) {
		return nil // pruned in between
	}
	if err != nil {
		return err
	}
	if _, err := s.Prune(ctx, 1); err != nil {
		return err
	}
	got, err := os.ReadFile(name)
	if err == nil && !bytes.Equal(got, text) {
		err = fmt.Errorf("%s has %d bytes, want %d", name, len(got), len(text))
	}
	if value, ok := s.GetRecord(key); ok && !bytes.Equal(value, text) {
		err = errors.Join(err, fmt.Errorf("record %s has %d bytes, want %d", key, len(value), len(text)))
	}
	return err
}

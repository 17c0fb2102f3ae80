package rsync

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// pullAll is Pull that is to work.
func pullAll(t *testing.T, from, to place, opts PullOptions) PullReport {
	t.Helper()
	r, err := Pull(t.Context(), open(t), from.dir, to.dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPull brings a tree, and the next time what has changed in it.
func TestPull(t *testing.T) {
	there, here := newPlace(t), newPlace(t)
	there.write("a", "a")
	there.write("bin/run", "#!/bin/sh")
	there.write("bin/large", noise(1, 5*pieceSize))
	there.write(".git/config", "not this")
	there.write("empty dir/x", "")
	there.do(os.Remove(there.path("empty dir/x")))
	there.do(os.Chmod(there.path("bin/run"), 0o777))
	there.do(os.Symlink("run", there.path("bin/link")))
	there.do(os.Symlink("../a", there.path("bin/up")))
	there.do(os.Symlink(there.path("bin"), there.path("absolute")))
	there.do(os.Symlink("/etc", there.path("outside")))
	r := pullAll(t, there, here, PullOptions{})
	if want := []string{"bin", "empty dir", "a", "bin/large", "bin/run", "absolute", "bin/link", "bin/up"}; !slices.Equal(r.Changed, want) || r.Entries != 9 {
		t.Errorf("changed are %q of %d, want %q", r.Changed, r.Entries, want)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Error(), `link "outside" is left out`) {
		t.Errorf("warnings: %v", r.Warnings)
	}
	if here.read("bin/large") != there.read("bin/large") || here.read("bin/link") != "#!/bin/sh" || here.read("bin/up") != "a" || here.read("absolute/run") != "#!/bin/sh" {
		t.Errorf("there is\n%s", here.lines())
	}
	if info, err := os.Stat(here.path("bin/run")); err != nil || info.Mode().Perm() != 0o777&^umask(t) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if here.exists(".git") || here.exists("outside") {
		t.Errorf("there is\n%s", here.lines())
	}
	if r := pullAll(t, there, here, PullOptions{}); len(r.Changed) > 0 {
		t.Errorf("again: %q", r.Changed)
	}
	there.write("a", "b")
	there.do(os.RemoveAll(there.path("bin")))
	here.write("own", "mine")
	here.write(".git/config", "mine")
	if r := pullAll(t, there, here, PullOptions{}); !slices.Equal(r.Changed, []string{"a"}) || len(r.Removed) > 0 || !here.exists("own") || !here.exists("bin/run") {
		t.Errorf("changed %q, removed %q", r.Changed, r.Removed)
	}
	r = pullAll(t, there, here, PullOptions{Delete: true})
	if want := []string{"own", "bin/up", "bin/run", "bin/link", "bin/large", "bin"}; !slices.Equal(r.Removed, want) {
		t.Errorf("removed %q, want %q", r.Removed, want)
	}
	if !here.exists(".git/config") || !here.exists("empty dir") || here.read("a") != "b" {
		t.Errorf("there is\n%s", here.lines())
	}
}

// TestPullMatch brings and removes what matches alone, and does not look at the rest.
func TestPullMatch(t *testing.T) {
	there, here := newPlace(t), newPlace(t)
	there.write("out/a", "a")
	there.write("out/sub/b", "b")
	there.write("other/c", "c")
	there.do(os.Mkdir(there.path("closed"), 0o000))
	here.write("own", "mine")
	here.write("out/old", "old")
	r := pullAll(t, there, here, PullOptions{Match: []string{"/out"}, Delete: true})
	if want := []string{"out/sub", "out/a", "out/sub/b"}; !slices.Equal(r.Changed, want) || !slices.Equal(r.Removed, []string{"out/old"}) {
		t.Errorf("changed %q, removed %q", r.Changed, r.Removed)
	}
	if !here.exists("own") || here.exists("other") {
		t.Errorf("there is\n%s", here.lines())
	}
}

// TestPullKinds has one thing here and another there.
func TestPullKinds(t *testing.T) {
	there, here := newPlace(t), newPlace(t)
	there.write("dir/file", "in a directory")
	there.write("file", "a file")
	there.do(os.Symlink("file", there.path("link")))
	here.write("dir", "a file here")
	here.write("file/x", "a directory here")
	here.write("link/x", "a directory here")
	if _, err := Pull(t.Context(), open(t), there.dir, here.dir, PullOptions{}); err == nil || here.read("dir") != "a file here" {
		t.Errorf("without Delete: %v", err)
	}
	pullAll(t, there, here, PullOptions{Delete: true})
	if here.read("dir/file") != "in a directory" || here.read("file") != "a file" || here.read("link") != "a file" {
		t.Errorf("there is\n%s", here.lines())
	}
}

// TestPullIsBounded brings and removes nothing when there is too much, and makes up for what a
// fetch that was killed has left.
func TestPullIsBounded(t *testing.T) {
	there, here := newPlace(t), newPlace(t)
	there.write("a", "123")
	there.write("b", "45")
	here.write("own", "mine")
	before := here.lines()
	for _, opts := range []PullOptions{{Limit: 4, Delete: true}, {Entries: 1, Delete: true}} {
		if _, err := Pull(t.Context(), open(t), there.dir, here.dir, opts); !errors.Is(err, ErrFetchLimit) || here.lines() != before {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	here.write(tempName(sumOf([]byte("123")), 0), "1")
	if r := pullAll(t, there, here, PullOptions{Limit: 5, Entries: 2}); !slices.Equal(r.Changed, []string{"a", "b"}) || here.read("a") != "123" {
		t.Errorf("changed %q:\n%s", r.Changed, here.lines())
	}
}

package rsync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

func symlink(target, name string) error { return os.Symlink(target, name) }

// catchAll is fetch from a channel.
func catchAll(ctx context.Context, ch *gateway.Channel, dest string, patterns []string) error {
	root, err := os.OpenRoot(dest)
	if err != nil {
		return err
	}
	defer root.Close()
	args := fetchArgs{Patterns: patterns, Tree: true}
	c := &catcher{fetchArgs: args, opts: PullOptions{Limit: 100, Entries: 10}, ch: line{Channel: ch}, codec: newCodec(), root: root, wanted: patterns}
	if err := c.run(ctx); err != nil {
		return err
	}
	return errors.Join(c.report.Warnings...)
}

// TestFetch brings back what tests have written, and only that.
func TestFetch(t *testing.T) {
	src, dst, secret := newPlace(t), newPlace(t), newPlace(t)
	gw := open(t)
	src.write("pkg/testdata/a.golden", "a")
	src.write("pkg/testdata/b.golden", "b")
	src.write("pkg/testdata/c.golden", "c")
	sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{})
	secret.write("s.golden", "secret")
	dst.write("pkg/testdata/a.golden", "new a")
	dst.write("pkg/testdata/b.golden", "b") // the same again
	dst.write("pkg/new/d.golden", strings.Repeat("d", 3*pieceSize))
	dst.write("pkg/empty.golden", "")
	dst.write("pkg/other.txt", "not asked for")
	dst.do(os.Symlink(secret.path("s.golden"), dst.path("pkg/link.golden")))
	dst.do(os.Symlink(secret.dir, dst.path("pkg/linked")))
	dst.do(os.Chmod(dst.path("pkg/empty.golden"), 0o755|os.ModeSetuid))
	got, err := Fetch(t.Context(), gw, dst.dir, []string{"*.golden"}, src.dir, 0)
	if want := []string{"pkg/empty.golden", "pkg/new/d.golden", "pkg/testdata/a.golden"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	if src.read("pkg/testdata/a.golden") != "new a" || src.read("pkg/new/d.golden") != dst.read("pkg/new/d.golden") ||
		src.exists("pkg/other.txt") || src.exists("pkg/link.golden") || src.exists("pkg/linked") {
		t.Errorf("after fetch:\n%s", src.lines())
	}
	if info, err := os.Stat(src.path("pkg/empty.golden")); err != nil || info.Mode() != 0o755 {
		t.Errorf("mode: %v, %v", info.Mode(), err)
	}
	if got, err = Fetch(t.Context(), gw, dst.dir, []string{"pkg/testdata"}, src.dir, 0); err != nil || len(got) > 0 {
		t.Errorf("again: %q, %v", got, err)
	}
	if r := sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{}); r.Files != 0 {
		t.Errorf("what was fetched is sent again: %+v", r)
	}
	if _, err := Fetch(t.Context(), gw, dst.path("missing"), []string{"*"}, src.dir, 0); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("missing: %v", err)
	}
}

// TestFetchThroughLinks has links at the destination: one inside is followed for directories, none
// is for the file itself.
func TestFetchThroughLinks(t *testing.T) {
	dst, dest, outside := newPlace(t), newPlace(t), newPlace(t)
	gw := open(t)
	outside.write("file", "outside")
	dst.write("a/file", "new")
	dest.write("real/x", "x")
	dest.write("y", "y")
	dest.do(os.Symlink("real", dest.path("a")))
	dest.do(os.Symlink(outside.path("file"), dest.path("real/file")))
	if got, err := Fetch(t.Context(), gw, dst.dir, []string{"file"}, dest.dir, 0); err != nil || len(got) != 1 {
		t.Errorf("%q, %v", got, err)
	}
	if dest.read("real/file") != "new" || outside.read("file") != "outside" {
		t.Errorf("inside %q, outside %q", dest.read("real/file"), outside.read("file"))
	}
	dest.do(os.Remove(dest.path("a")))
	dest.do(os.Symlink(outside.dir, dest.path("a")))
	if _, err := Fetch(t.Context(), gw, dst.dir, []string{"file"}, dest.dir, 0); err == nil || outside.read("file") != "outside" {
		t.Errorf("through a link that leads out: %v, %q", err, outside.read("file"))
	}
}

// TestFetchIsBounded brings no more than may come, nothing of Git's, and no rights that the umask
// denies.
func TestFetchIsBounded(t *testing.T) {
	dst, dest := newPlace(t), newPlace(t)
	gw := open(t)
	dst.write("a", "123")
	dst.write("b", "45")
	dst.write(".git/hooks/post-commit", "run me")
	dst.write("sub/.GIT/config", "me, too")
	dst.do(os.Chmod(dst.path("a"), 0o777))
	got, err := Fetch(t.Context(), gw, dst.dir, []string{"*"}, dest.dir, 4)
	if !errors.Is(err, ErrFetchLimit) || len(got) > 0 {
		t.Errorf("with a limit of 4 bytes: %q, %v", got, err)
	}
	if got, err = Fetch(t.Context(), gw, dst.dir, []string{"*"}, dest.dir, 5); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("with a limit of 5 bytes: %q, %v", got, err)
	}
	if info, err := os.Stat(dest.path("a")); err != nil || info.Mode().Perm() != 0o777&^umask(t) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	dst.write("linked/hook", "run me")
	dest.do(os.MkdirAll(dest.path("own/.git"), 0o700))
	dest.do(os.Symlink("own/.git", dest.path("linked")))
	if _, err = Fetch(t.Context(), gw, dst.dir, []string{"hook"}, dest.dir, 0); err == nil || dest.exists("own/.git/hook") {
		t.Errorf("through a link into .git: %v", err)
	}
	if dest.exists(".git") || dest.exists("sub") {
		t.Errorf("there is\n%s", dest.lines())
	}
}

// umask is that of this process, as a new file has it.
func umask(t *testing.T) os.FileMode {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "new"), os.O_CREATE|os.O_WRONLY, 0o777)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return 0o777 &^ info.Mode().Perm()
}

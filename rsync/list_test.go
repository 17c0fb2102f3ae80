package rsync

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// git runs git in a directory of p.
func (p place) git(dir string, args ...string) {
	p.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		p.Skipf("skipped: there is no git: %v", err)
	}
	cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = p.path(dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// listed are the paths that a scan of a source finds, directories with a slash.
func listed(t *testing.T, s Source) []string {
	t.Helper()
	img, err := s.scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range img.entries {
		if e.kind == dirKind {
			e.path += "/"
		}
		paths = append(paths, e.path)
	}
	return paths
}

// TestGitFiles lists what git sees: tracked, untracked and not ignored, of submodules and nested
// repositories too.
func TestGitFiles(t *testing.T) {
	sub, p, extra := newPlace(t), newPlace(t), newPlace(t)
	sub.write("sub.go", "x")
	sub.git("", "init", "-q")
	sub.git("", "add", ".")
	sub.git("", "commit", "-qm", "x")
	for _, name := range []string{".gitignore", "tracked", "dir/tracked", "deleted", "ignored/but tracked", "nested/file", "nested/ignored.log",
		"replaced/file", "odd\tna\"me ü\n"} {
		p.write(name, "x")
	}
	p.write(".gitignore", "ignored\n*.log\n")
	p.git("", "init", "-q")
	p.git("nested", "init", "-q")
	p.git("", "add", "tracked", "dir", "deleted", ".gitignore", "replaced")
	p.git("", "add", "-f", "ignored/but tracked")
	p.git("", "submodule", "add", "-q", sub.dir, "module")
	p.do(os.Remove(p.path("deleted")))
	p.do(os.RemoveAll(p.path("replaced")))
	p.do(os.Symlink("dir", p.path("replaced")))
	p.write("replaced/file", "x") // dir/file
	for _, name := range []string{"untracked", "ignored/file", "some.log", "dir/some.log", "module/untracked.go"} {
		p.write(name, "x")
	}
	extra.write("in", "x")
	extra.write(".git/config", "x")
	common := []string{".gitignore", ".gitmodules", "dir/", "dir/file", "dir/tracked"}
	rest := []string{"module/", "module/sub.go", "module/untracked.go", "nested/", "nested/file", "nested/ignored.log",
		"odd\tna\"me ü\n", "replaced", "tracked", "untracked"}
	want := slices.Concat(common, []string{"ignored/", "ignored/but tracked"}, rest)
	if got := listed(t, Source{Root: p.dir}); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	want = slices.Concat(common, []string{"ignored/", "ignored/but tracked", "ignored/file"}, rest)
	if got := listed(t, Source{Root: p.dir, Extra: []string{"ignored"}}); !slices.Equal(got, want) {
		t.Errorf("with ignored: got  %q\nwant %q", got, want)
	}
	p.do(os.Rename(extra.dir, extra.dir+"extra"))
	got := listed(t, Source{Root: p.path("dir"), Extra: []string{extra.dir + "extra"}})
	if want := []string{"file", "tracked", "treeextra/", "treeextra/in"}; !slices.Equal(got, want) {
		t.Errorf("a directory of the repository, and one from outside: %q", got)
	}
	if _, err := (Source{Root: p.dir, Extra: []string{sub.path("missing")}}).scan(t.Context()); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a missing directory: %v", err)
	}
}

// TestIgnoredRoot has a source that lies in a directory that git ignores: all of it is sent.
func TestIgnoredRoot(t *testing.T) {
	p := newPlace(t)
	p.write(".gitignore", "build\n")
	p.write("build/module/file", "x")
	p.git("", "init", "-q")
	if got := listed(t, Source{Root: p.path("build/module")}); !slices.Equal(got, []string{"file"}) {
		t.Errorf("%q", got)
	}
}

// TestExtraOnHost syncs a directory from outside of the root.
func TestExtraOnHost(t *testing.T) {
	src, extra, dst := newPlace(t), place{t, t.TempDir() + "/extra"}, newPlace(t)
	src.write("a", "a")
	extra.write("dir/b", "b")
	extra.write("large", noise(9, 2*smallFile))
	sendOne(t, Source{Root: src.dir, Extra: []string{extra.dir}}, open(t), dst.dir, TargetOptions{})
	if dst.read("a") != "a" || dst.read("extra/dir/b") != "b" || dst.read("extra/large") != extra.read("large") {
		t.Errorf("%s", dst.lines())
	}
}

package rsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Source says which files are sent: those that git would see (tracked, or untracked and not
// ignored), nested repositories and submodules included, and where there is no git or no repository
// all but the files of version control.
type Source struct {
	// Root is the directory whose content becomes that of the targets. It has to exist.
	Root string
	// Extra are directories that are sent whole, with what git ignores. One below Root keeps its
	// place, another gets one at the top, under its own name. A relative one is relative to Root.
	Extra []string
	// Ignore are patterns of [path.Match] for what is not sent: one without a slash is held against
	// each name in a path, one with a slash against the path from Root. A directory that matches is
	// left out with all that is in it.
	Ignore []string
	// Cache is a directory, made when it is missing, for an index of the contents' digests, so that
	// only files that were changed are read again. It is done without one where another user may
	// write. Empty is none.
	Cache string

	kept *memory // an index in memory beside that of Cache; nil is none
}

// tree is a source that was made ready.
type tree struct {
	root   string            // absolute
	real   string            // root without links in it
	ignore ignore            // what is not sent
	extra  []string          // absolute
	mounts map[string]string // name at the top → directory elsewhere that has this place
}

func (s Source) tree() (*tree, error) {
	root, err := filepath.Abs(s.Root)
	if err != nil {
		return nil, err
	}
	if err := needDir(root); err != nil {
		return nil, err
	}
	t := &tree{root: root, mounts: make(map[string]string)}
	if t.real, err = filepath.EvalSymlinks(root); err != nil {
		return nil, err
	}
	if t.ignore, err = newIgnore(s.Ignore); err != nil {
		return nil, err
	}
	for _, dir := range s.Extra {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
		if err := needDir(dir); err != nil {
			return nil, err
		}
		t.extra = append(t.extra, filepath.Clean(dir))
	}
	return t, nil
}

func needDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	}
	return err
}

// place returns where in the tree a directory is that lies below the root.
func (t *tree) place(dir string) (string, bool) {
	for _, root := range []string{t.root, t.real} {
		rel, err := filepath.Rel(root, dir)
		if err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel), true
		}
	}
	return "", false
}

// file returns the name of a file of the tree on this host.
func (t *tree) file(p string) string {
	top, rest, _ := strings.Cut(p, "/")
	if dir, ok := t.mounts[top]; ok {
		return filepath.Join(dir, filepath.FromSlash(rest))
	}
	return filepath.Join(t.root, filepath.FromSlash(p))
}

// list returns all that the tree holds, in the order of comparePaths, directories included.
func (t *tree) list(ctx context.Context) ([]found, error) {
	names, err := gitFiles(ctx, t.root)
	if err != nil {
		return nil, err
	}
	var all []found
	if len(names) == 0 {
		all, err = t.walk(ctx, t.root, "")
	} else {
		names = slices.DeleteFunc(names, func(p string) bool { return t.ignore.matches(p) || isTemp(path.Base(p)) })
		all, err = t.look(ctx, names)
	}
	if err != nil {
		return nil, err
	}
	for _, dir := range t.extra {
		more, err := t.listExtra(ctx, dir, all)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	slices.SortStableFunc(all, func(a, b found) int { return comparePaths(a.path, b.path) })
	all = slices.CompactFunc(all, func(a, b found) bool { return a.path == b.path })
	return t.connect(ctx, all)
}

// listExtra lists a directory that is sent whole.
func (t *tree) listExtra(ctx context.Context, dir string, have []found) ([]found, error) {
	if at, ok := t.place(dir); ok {
		if at == "." {
			at = ""
		}
		return t.walk(ctx, dir, at)
	}
	name := filepath.Base(dir)
	if other, ok := t.mounts[name]; ok && other != dir {
		return nil, fmt.Errorf("send directory %s: %s has the same name", dir, other)
	}
	if slices.ContainsFunc(have, func(f found) bool { return f.path == name || strings.HasPrefix(f.path, name+"/") }) {
		return nil, fmt.Errorf("send directory %s: %s has something of this name", dir, t.root)
	}
	t.mounts[name] = dir
	return t.walk(ctx, dir, name)
}

// walk lists a directory without version control's own files. at is its place in the tree, empty
// for the top.
func (t *tree) walk(ctx context.Context, dir, at string) ([]found, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	all, err := walkTree(ctx, root, func(p string, _ kind) bool {
		base := path.Base(p)
		return vcs(base) || isTemp(base) || t.ignore.matches(path.Join(at, p))
	}, false)
	if err != nil || at == "" {
		return all, err
	}
	for i := range all {
		all[i].path = at + "/" + all[i].path
	}
	return append(all, found{path: at, kind: dirKind}), nil // connect looks at it
}

// lookers is how many goroutines look at files, or read them. Much of it is waiting.
const lookers = 4

// look finds out what is at each path. What has vanished is left out.
func (t *tree) look(ctx context.Context, paths []string) ([]found, error) {
	all := make([]found, len(paths))
	err := inParallel(ctx, lookers, len(paths), func(i int) (err error) {
		all[i], err = t.lookAt(paths[i])
		return err
	})
	return slices.DeleteFunc(all, func(f found) bool { return f.kind == 0 }), err
}

// lookAt returns the zero value when nothing is there.
func (t *tree) lookAt(p string) (found, error) {
	info, err := os.Lstat(t.file(p))
	switch {
	case gone(err):
		return found{}, nil
	case err != nil:
		return found{}, err
	}
	return found{path: p, kind: kindOf(info.Mode()), what: info.Mode(), stat: statOf(info)}, nil
}

// gone reports whether err says that there is no such file.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// connect adds the directories that lead to what is in all, and drops what is not in a directory:
// git lists the files of a directory that has become a link.
func (t *tree) connect(ctx context.Context, all []found) ([]found, error) {
	have := make(map[string]kind, len(all)/4)
	var out []found
	for _, f := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ok, err := t.addParents(&out, have, path.Dir(f.path))
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if f.kind == dirKind {
			if _, err := t.addParents(&out, have, f.path); err != nil {
				return nil, err
			}
			continue
		}
		have[f.path] = f.kind
		out = append(out, f)
	}
	return out, nil
}

// addParents adds dir and what leads to it, and reports whether all are directories.
func (t *tree) addParents(out *[]found, have map[string]kind, dir string) (bool, error) {
	if dir == "." {
		return true, nil
	}
	if k, ok := have[dir]; ok {
		return k == dirKind, nil
	}
	if ok, err := t.addParents(out, have, path.Dir(dir)); !ok || err != nil {
		return false, err
	}
	f, err := t.lookAt(dir)
	if err != nil {
		return false, err
	}
	have[dir] = f.kind
	if f.kind == dirKind {
		*out = append(*out, f)
	}
	return f.kind == dirKind, nil
}

// gitFiles returns the files below dir that git sees; none when git is not there or dir in no
// repository.
func gitFiles(ctx context.Context, dir string) ([]string, error) {
	out, err := runGit(ctx, dir)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if !strings.HasSuffix(name, "/") {
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil || !info.IsDir() {
				names = append(names, name)
				continue
			}
		}
		// A repository of its own, or a submodule. One that nobody has checked out is an empty
		// directory.
		name = strings.TrimSuffix(name, "/")
		names = append(names, name)
		inner := filepath.Join(dir, name)
		if _, err := os.Lstat(filepath.Join(inner, ".git")); err != nil {
			continue
		}
		below, err := gitFiles(ctx, inner)
		if err != nil {
			return nil, err
		}
		for _, p := range below {
			names = append(names, name+"/"+p)
		}
	}
	return names, nil
}

// runGit asks git. The options keep it from writing to the repository, from asking a daemon, and
// from refusing one that belongs to somebody else, as it is in containers.
func runGit(ctx context.Context, dir string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "safe.directory=*",
		"ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), ofRepository), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	text := strings.TrimSpace(stderr.String())
	switch {
	case err == nil, ctx.Err() != nil:
		return out, ctx.Err()
	case errors.Is(err, exec.ErrNotFound), strings.Contains(text, "not a git repository"), strings.Contains(text, "must be run in a work tree"):
		return nil, nil
	}
	return nil, fmt.Errorf("list files of %s: git: %w: %s", dir, err, clip(text))
}

// ofRepository reports whether a variable names another repository than the one that git finds by
// itself.
func ofRepository(env string) bool {
	name, _, _ := strings.Cut(env, "=")
	switch name {
	case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_CEILING_DIRECTORIES":
		return true
	}
	return false
}

// inParallel calls f with 0 to n-1, some at the same time, and returns the first error, after which
// no more calls are made.
func inParallel(ctx context.Context, goroutines, n int, f func(int) error) error {
	const run = 64 // consecutive calls by one goroutine: neighbours share directories
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	next := make(chan int) // closed below
	for range min(goroutines, (n+run-1)/run) {
		wait.Go(func() {
			for start := range next {
				for i := start; i < min(start+run, n); i++ {
					if err := f(i); err != nil {
						cancel(err)
						return
					}
				}
			}
		})
	}
feed:
	for start := 0; start < n; start += run {
		select {
		case next <- start:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wait.Wait()
	return context.Cause(ctx)
}

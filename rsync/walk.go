package rsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"
)

// found is something that a walk has met.
type found struct {
	path string
	kind kind
	what fs.FileMode // of an oddKind, for a message
	stat fileStat
}

// walker walks a tree below a root, some directories at the same time. Links are not followed. It
// owns its goroutines, which have ended when walk returns.
type walker struct {
	skip   func(path string, k kind) bool // what not to report, nor to enter; nil skips nothing
	repair bool                           // make directories readable that are not
	slots  chan struct{}                  // one token for each goroutine beside the first; never closed

	wait sync.WaitGroup
	mu   sync.Mutex // guards err
	err  error      // the first that happened
}

// walkers is how many directories are read at the same time. Reading is work for the system's
// kernel, mostly.
const walkers = 4

// branch is what a directory holds: entries, and for each that is a directory its branch.
type branch struct {
	entries  []found
	branches []*branch
}

// walkTree returns what is in the tree, in the order of comparePaths.
func walkTree(ctx context.Context, root *os.Root, skip func(string, kind) bool, repair bool) ([]found, error) {
	w := &walker{skip: skip, repair: repair, slots: make(chan struct{}, walkers-1)}
	var top branch
	w.read(ctx, root, "", &top)
	w.wait.Wait()
	if w.err != nil {
		return nil, w.err
	}
	return top.flatten(make([]found, 0, top.count())), nil
}

func (b *branch) count() int {
	n := len(b.entries)
	for _, sub := range b.branches {
		if sub != nil {
			n += sub.count()
		}
	}
	return n
}

func (b *branch) flatten(all []found) []found {
	for i, e := range b.entries {
		all = append(all, e)
		if sub := b.branches[i]; sub != nil {
			all = sub.flatten(all)
		}
	}
	return all
}

func (w *walker) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *walker) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil
}

// read fills b with what is in the directory dir, whose path is prefix with a slash behind it, or
// nothing for the top.
func (w *walker) read(ctx context.Context, dir *os.Root, prefix string, b *branch) {
	names, err := readNames(dir)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		w.fail(fmt.Errorf("read directory %q: %w", path.Clean(prefix), err))
		return
	}
	b.entries = make([]found, 0, len(names))
	b.branches = make([]*branch, len(names))
	for _, name := range names {
		info, err := dir.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			w.fail(fmt.Errorf("look at %q: %w", prefix+name, err))
			return
		}
		f := found{path: prefix + name, kind: kindOf(info.Mode()), what: info.Mode(), stat: statOf(info)}
		if w.skip != nil && w.skip(f.path, f.kind) {
			continue
		}
		b.entries = append(b.entries, f)
		if f.kind == dirKind && !w.enter(ctx, dir, name, &f, &b.branches[len(b.entries)-1]) {
			return
		}
	}
}

// enter reads a directory below dir, in a goroutine of its own when there is one to be had.
func (w *walker) enter(ctx context.Context, dir *os.Root, name string, f *found, b **branch) bool {
	if w.failed() {
		return false
	}
	if w.repair && f.stat.mode&0o500 != 0o500 {
		dir.Chmod(name, goMode(f.stat.mode|0o700)) // opening tells whether it helped
	}
	sub, err := dir.OpenRoot(name)
	if err != nil {
		w.fail(fmt.Errorf("read directory %q: %w", f.path, err))
		return false
	}
	*b = new(branch)
	into, prefix := *b, f.path+"/"
	select {
	case w.slots <- struct{}{}:
		w.wait.Go(func() {
			defer func() { <-w.slots }()
			defer sub.Close()
			w.read(ctx, sub, prefix, into)
		})
	default:
		defer sub.Close()
		w.read(ctx, sub, prefix, into)
	}
	return true
}

// readNames returns what is in a directory, sorted.
func readNames(dir *os.Root) ([]string, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

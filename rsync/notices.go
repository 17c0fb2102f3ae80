//go:build !xdist_agent

package rsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// notices are what the system tells of directories. It does so for each directory by itself, and
// forgets when there is too much. So a notice is a reason to look, and nothing more.
//
// It owns a goroutine that takes notices; close joins it.
type notices struct {
	add      func(dir string) error // may be called again for a directory
	stop     func() error           // ends events and errors
	changedc chan struct{}          // capacity 1, never closed: something has changed
	donec    chan struct{}          // closed when no more notices are taken

	mu    sync.Mutex // guards the fields below
	fresh []string   // what has been made and may be a directory, absolute
	all   bool       // fresh may lack some, so that all directories are to be looked up
}

// freshAtMost bounds fresh.
const freshAtMost = 4096

// systemNotices begins to take notices of this system. It follows no directory yet.
func systemNotices() (*notices, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return takeNotices(w.Events, w.Errors, w.Add, w.Close), nil
}

func takeNotices(events <-chan fsnotify.Event, errs <-chan error, add func(string) error, stop func() error) *notices {
	n := &notices{add: add, stop: stop, changedc: make(chan struct{}, 1), donec: make(chan struct{}), all: true}
	go n.loop(events, errs)
	return n
}

func (n *notices) close() {
	n.stop() // ends the loop
	<-n.donec
}

func (n *notices) loop(events <-chan fsnotify.Event, errs <-chan error) {
	defer close(n.donec)
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			if e.Has(fsnotify.Create) {
				n.note(e.Name)
			}
		case _, ok := <-errs: // such as that there was too much to tell
			if !ok {
				return
			}
			n.forget()
		}
		wake(n.changedc)
	}
}

// note notes something new.
func (n *notices) note(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.fresh) == freshAtMost {
		n.fresh, n.all = nil, true
	}
	if !n.all {
		n.fresh = append(n.fresh, name)
	}
}

// forget has all directories looked up again.
func (n *notices) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fresh, n.all = nil, true
}

// follow begins to take notices of the directories of a source that are new. After an error the
// next call begins anew.
func (n *notices) follow(ctx context.Context, s Source) (err error) {
	defer func() {
		if err != nil {
			n.forget()
		}
	}()
	n.mu.Lock()
	fresh, all := n.fresh, n.all
	n.fresh, n.all = nil, false
	n.mu.Unlock()
	if len(fresh) == 0 && !all {
		return nil
	}
	t, err := s.tree()
	if err != nil {
		return err // and so will be the scan's
	}
	if all {
		fresh = append([]string{t.root}, t.extra...)
	}
	for len(fresh) > 0 {
		fresh = slices.DeleteFunc(fresh, func(name string) bool { return !t.follows(name) })
		ignored, err := gitIgnored(ctx, t, fresh)
		if err != nil {
			return err
		}
		var below []string
		for _, dir := range fresh {
			if ignored[dir] {
				continue
			}
			if err := n.add(dir); err != nil && !gone(err) {
				return fmt.Errorf("watch %s: %w", dir, err)
			}
			entries, err := os.ReadDir(dir) // after add, so that what is made in it is not missed
			if err != nil && !gone(err) {
				return err
			}
			for _, e := range entries {
				if e.IsDir() {
					below = append(below, filepath.Join(dir, e.Name()))
				}
			}
		}
		fresh = below
	}
	return nil
}

// follows reports whether something is a directory that may have a place in the tree.
func (t *tree) follows(name string) bool {
	if name == t.root || slices.Contains(t.extra, name) {
		return true
	}
	if info, err := os.Lstat(name); err != nil || !info.IsDir() {
		return false
	}
	base := filepath.Base(name)
	if vcs(base) || isTemp(base) {
		return false
	}
	at, ok := t.place(name)
	if dir := t.extraOf(name); !ok && dir != "" {
		rel, err := filepath.Rel(dir, name)
		at, ok = path.Join(filepath.Base(dir), filepath.ToSlash(rel)), err == nil
	}
	return ok && !t.ignore.matches(at)
}

// extraOf returns the directory that is sent whole and has this in it; "" is none.
func (t *tree) extraOf(name string) string {
	for _, dir := range t.extra {
		if rel, err := filepath.Rel(dir, name); err == nil && filepath.IsLocal(rel) {
			return dir
		}
	}
	return ""
}

// gitIgnored returns which of some directories git does not see. Where it cannot tell there are
// none.
func gitIgnored(ctx context.Context, t *tree, dirs []string) (map[string]bool, error) {
	var in bytes.Buffer
	for _, dir := range dirs {
		if dir != t.root && t.extraOf(dir) == "" {
			in.WriteString(dir + "\x00")
		}
	}
	if in.Len() == 0 {
		return nil, nil
	}
	cmd := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "check-ignore", "-z", "--stdin")
	cmd.Dir, cmd.Stdin = t.root, &in
	cmd.Env = append(slices.DeleteFunc(os.Environ(), ofRepository), "LC_ALL=C")
	out, err := cmd.Output()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed && !errors.Is(err, exec.ErrNotFound) {
		return nil, err
	}
	ignored := make(map[string]bool)
	for name := range strings.SplitSeq(string(out), "\x00") {
		ignored[name] = true
	}
	return ignored, ctx.Err()
}

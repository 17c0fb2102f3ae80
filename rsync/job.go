package rsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// job is one round at a receiver.
type job struct {
	*receiver
	*sight
	want  *manifest
	whole bool

	place []record           // of want's entries, those that are in place: kind is not 0
	old   []*found           // what is at the path of each entry, nil for nothing
	wants []want             // in the order of want's entries
	parts map[string]partial // by the digest in their names: what interrupted syncs have left
	kept  []string           // what is to stay though the source does not have it, and came from there
	extra []int              // of found: what the source does not have
	dirs  map[string]bool    // directories that were made writable, to be set right at the end
	tally tally
}

// want is a file that has to be sent.
type want struct {
	index int
	part  *partial // go on from this one
	base  bool     // what is there may have much of it
}

// partial is a file that has not arrived completely.
type partial struct {
	path string
	size int64
}

// deltaAtLeast is the size in bytes from which files are compared block by block.
const deltaAtLeast = 16 << 10

func newJob(r *receiver, s *sight, m *manifest, whole bool) *job {
	n := len(m.entries)
	return &job{receiver: r, sight: s, want: m, whole: whole, place: make([]record, n), old: make([]*found, n),
		parts: make(map[string]partial), dirs: make(map[string]bool), tally: tally{Dir: r.dir}}
}

// compare finds out what has to be done, and does what needs no content.
func (j *job) compare(ctx context.Context) error {
	var check []int // entries whose content has to be read to know it
	at, rec := 0, 0
	for i := range j.want.entries {
		e := &j.want.entries[i]
		for at < len(j.found) && comparePaths(j.found[at].path, e.path) < 0 {
			j.surplus(at)
			at++
		}
		if at < len(j.found) && j.found[at].path == e.path {
			j.old[i] = &j.found[at]
			at++
		}
		var known *record
		known, rec = j.memory.recall(e.path, rec)
		if j.judge(i, known) {
			check = append(check, i)
		}
	}
	for ; at < len(j.found); at++ {
		j.surplus(at)
	}
	if err := j.read(ctx, check); err != nil {
		return err
	}
	if err := j.surplusEntries(); err != nil {
		return err
	}
	return j.shape()
}

// judge books an entry that is in place or whose content is wanted. It reports whether the content
// has to be read to tell.
func (j *job) judge(i int, known *record) (check bool) {
	e, old := &j.want.entries[i], j.old[i]
	if old == nil || old.kind != e.kind {
		if e.kind == fileKind {
			j.wants = append(j.wants, want{index: i})
		}
		return false
	}
	intact := known != nil && known.kind == e.kind && known.intact(old.stat)
	switch {
	case intact && known.entry == *e:
		j.place[i] = *known
	case e.kind != fileKind:
	case intact && known.sum == e.sum:
		j.place[i] = *known // mode and time are set later
	case old.stat.size == e.size && !intact:
		return true
	default:
		j.wants = append(j.wants, want{index: i, base: true})
	}
	return false
}

// read looks into files that have the right size.
func (j *job) read(ctx context.Context, check []int) error {
	var h hasher
	differs := make([]bool, len(check))
	err := inParallel(ctx, lookers, len(check), func(n int) (err error) {
		i := check[n]
		e := &j.want.entries[i]
		f, err := ownfile.OpenIn(j.root, e.path)
		if err != nil {
			differs[n] = true // unreadable or gone: it will be replaced
			return nil
		}
		defer f.Close()
		_, s, err := h.file(f)
		if differs[n] = s != e.sum; differs[n] {
			return err
		}
		j.place[i] = record{entry: *e, stat: j.old[i].stat}
		j.place[i].mode, j.place[i].mtime = j.old[i].stat.mode, j.old[i].stat.mtime
		j.place[i].refresh(j.old[i].stat, j.at)
		return err
	})
	for n, i := range check {
		if differs[n] {
			j.wants = append(j.wants, want{index: i, base: true})
		}
	}
	slices.SortFunc(j.wants, func(a, b want) int { return a.index - b.index })
	return err
}

// surplus books something that the source does not have.
func (j *job) surplus(at int) {
	f := &j.found[at]
	if digest, ok := strings.CutPrefix(path.Base(f.path), tempPrefix); ok && isTemp(path.Base(f.path)) && f.kind == fileKind {
		digest, _, _ = strings.Cut(digest, ".")
		if p, ok := j.parts[digest]; !ok || p.size < f.stat.size {
			j.parts[digest] = partial{f.path, f.stat.size}
		}
	}
	j.extra = append(j.extra, at)
}

// surplusEntries removes what the options say, from the inside out, and the remains of interrupted
// syncs that are of no use.
func (j *job) surplusEntries() error {
	useful := j.useParts()
	stays := make(map[string]bool) // directories that something stays in
	for n := len(j.extra) - 1; n >= 0; n-- {
		f := &j.found[j.extra[n]]
		temp := isTemp(path.Base(f.path))
		ours := j.came(f.path)
		switch {
		case temp && useful[f.path]:
			stays[path.Dir(f.path)] = true
			continue
		case !temp && (ours && !j.Delete || !ours && !j.Clean) || stays[f.path]:
			if j.replaced(f.path) {
				continue // removed with the directory that it is in
			}
			stays[path.Dir(f.path)] = true
			if ours {
				j.kept = append(j.kept, f.path)
			}
			j.tally.Strange++
			continue
		}
		if err := j.remove(f.path); err != nil {
			return err
		}
		if !temp {
			j.tally.Removed++
		}
	}
	slices.Reverse(j.kept)
	return nil
}

// came reports whether an earlier sync has brought what is at this path.
func (j *job) came(p string) bool {
	byPath := func(r record, p string) int { return comparePaths(r.path, p) }
	if _, ok := slices.BinarySearchFunc(j.memory.records, p, byPath); ok {
		return true
	}
	_, ok := slices.BinarySearchFunc(j.memory.kept, p, comparePaths)
	return ok
}

// replaced reports whether the path is in a directory in whose place the source has something else.
func (j *job) replaced(p string) bool {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		i, ok := slices.BinarySearchFunc(j.want.entries, dir, func(e entry, p string) int { return comparePaths(e.path, p) })
		if ok {
			return j.want.entries[i].kind != dirKind
		}
	}
	return false
}

// useParts connects wants with what has arrived of them, and returns the paths that are of use.
func (j *job) useParts() map[string]bool {
	useful := make(map[string]bool)
	if len(j.parts) == 0 {
		return useful
	}
	for n := range j.wants {
		e := &j.want.entries[j.wants[n].index]
		key := fmt.Sprintf("%x", e.sum[:tempDigest])
		if p, ok := j.parts[key]; ok && p.size <= e.size && e.size > smallFile && !j.whole && !j.replaced(p.path) {
			j.wants[n].part = &p
			useful[p.path] = true
			delete(j.parts, key)
		}
	}
	return useful
}

// remove removes a file, a link, or an empty directory.
func (j *job) remove(p string) error {
	err := j.root.Remove(p)
	if errors.Is(err, fs.ErrPermission) && j.unlock(path.Dir(p), p) {
		err = j.root.Remove(p)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// unlock makes a directory, and what is at a path in it, writable, and reports whether it could.
func (j *job) unlock(dir string, p string) bool {
	if p != "" {
		if info, err := j.root.Lstat(p); err == nil && info.Mode().IsRegular() {
			j.root.Chmod(p, info.Mode().Perm()|0o200) // Windows removes and replaces nothing that is read-only
		}
	}
	info, err := j.root.Lstat(dir)
	if err != nil || !info.IsDir() || j.root.Chmod(dir, info.Mode()|0o700) != nil {
		return false
	}
	j.dirs[dir] = true
	return true
}

// shape makes the directories and links, and takes away what is in the place of something else.
func (j *job) shape() error {
	for i := range j.want.entries {
		e, old := &j.want.entries[i], j.old[i]
		if old != nil && old.kind != e.kind {
			if err := j.root.RemoveAll(e.path); err != nil {
				return err
			}
			old, j.old[i] = nil, nil
		}
		var err error
		switch {
		case j.place[i].kind != 0:
		case e.kind == dirKind && old == nil:
			err = j.makeDir(e)
			j.tally.Touched++
		case e.kind == linkKind:
			err = j.makeLink(i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// makeDir makes a directory that can be written, whatever its mode is to be.
func (j *job) makeDir(e *entry) error {
	perm := goMode(e.mode).Perm() | 0o700
	err := j.root.Mkdir(e.path, perm)
	if errors.Is(err, fs.ErrPermission) && j.unlock(path.Dir(e.path), "") {
		err = j.root.Mkdir(e.path, perm)
	}
	return err
}

// makeLink makes a link in one step, unless there is one that leads to the same.
func (j *job) makeLink(i int) error {
	e := &j.want.entries[i]
	target := filepath.FromSlash(e.link)
	if e.rebase {
		target = filepath.Join(j.dir, target)
	}
	if j.old[i] != nil {
		if there, err := j.root.Readlink(e.path); err == nil && there == target {
			return j.note(i)
		}
	}
	temp := path.Join(path.Dir(e.path), tempName(e.sum, i))
	err := j.root.Symlink(target, temp)
	if errors.Is(err, fs.ErrPermission) && j.unlock(path.Dir(e.path), "") {
		err = j.root.Symlink(target, temp)
	}
	if err == nil {
		err = j.root.Rename(temp, e.path)
	}
	if err != nil {
		return err
	}
	j.tally.Touched++
	return j.note(i)
}

// note records an entry as it is in the tree now.
func (j *job) note(i int) error {
	info, err := j.root.Lstat(j.want.entries[i].path)
	if err != nil {
		return err
	}
	j.place[i] = record{entry: j.want.entries[i]}
	j.place[i].refresh(statOf(info), time.Now())
	return nil
}

// finish sets modes and times where they differ, directories last and from the inside out, and
// saves the memory.
func (j *job) finish() error {
	for i := len(j.want.entries) - 1; i >= 0; i-- {
		e := &j.want.entries[i]
		if e.kind == linkKind || e.kind == fileKind && j.place[i].kind == 0 {
			continue
		}
		if j.place[i].entry == *e && !j.dirs[e.path] {
			continue
		}
		if err := j.settle(i); err != nil {
			return err
		}
	}
	return j.save()
}

// settle sets mode and time of an entry whose content is right.
func (j *job) settle(i int) error {
	e := &j.want.entries[i]
	if j.old[i] != nil && !j.dirs[e.path] {
		j.tally.Touched++
	}
	if err := j.root.Chmod(e.path, goMode(e.mode)); err != nil {
		return err
	}
	if e.kind == fileKind {
		mtime := time.Unix(0, e.mtime)
		if err := j.root.Chtimes(e.path, mtime, mtime); err != nil {
			return err
		}
	}
	return j.note(i)
}

// save writes the memory of what is in place.
func (j *job) save() error {
	m := memory{kept: j.kept, records: make([]record, 0, len(j.place))}
	now := time.Now()
	for i := range j.place {
		r := j.place[i]
		if r.fresh && r.stat.ctime >= j.at.UnixNano() {
			r.refresh(r.stat, now) // our own change, and nobody else's was allowed since
		}
		if r.kind != 0 {
			m.records = append(m.records, r)
		}
	}
	if slices.Equal(m.records, j.memory.records) && slices.Equal(m.kept, j.memory.kept) {
		return nil
	}
	if err := replaceFile(filepath.Join(j.side, memoryFile), m.encode()); err != nil {
		return fmt.Errorf("save memory: %w", err)
	}
	return nil
}

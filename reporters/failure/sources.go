package failure

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/scheduler/event"
)

// Sources finds the files that the output of tests names, on this machine: a base name is in the
// directory of the package, a path may be one of a host's mirror, or begin with an import path as
// -trimpath has it. Its reads are bounded, and what it has read stays for the next question.
type Sources struct {
	workdir string
	dirs    map[string]string   // of packages by import path, absolute
	files   map[string][]string // lines by absolute path; nil for what cannot be read
	roots   []string            // what may be shown is below one of them, links resolved; nil is not made
	found   map[named]string    // paths, "" for what is not there
	kept    int                 // bytes
}

const (
	sourceBytes = 4 << 20  // of one file: no source is larger that people write
	sourcesKept = 64 << 20 // of all
)

// Learn takes what the run says of where its packages are.
func (s *Sources) Learn(e event.Event) {
	switch e := e.(type) {
	case event.RunStarted:
		s.workdir = e.Workdir
	case event.Collected:
		for path, dir := range e.Dirs {
			if s.dirs == nil {
				s.dirs = map[string]string{}
			}
			s.dirs[path] = dir
		}
		s.roots, s.found = nil, nil
	}
}

// dir is the directory of a package by its name in the events, which may have a gateway or a
// platform behind it.
func (s *Sources) dir(pkg string) string {
	path, _, _ := strings.Cut(pkg, " ")
	return s.dirs[path]
}

// named is a file as the output of a package names it.
type named struct{ dir, file string }

// foundKept is how many paths are kept: a test can name any number.
const foundKept = 10_000

// Find returns the absolute path of a file that the output of a package names, "" when it is not
// there.
func (s *Sources) Find(pkg, file string) string {
	n := named{s.dir(pkg), file}
	if file == "" || n.dir == "" {
		return ""
	}
	path, ok := s.found[n]
	if !ok {
		path = s.look(n.dir, file)
		if s.found == nil || len(s.found) == foundKept {
			s.found = map[named]string{}
		}
		s.found[n] = path
	}
	return path
}

// look is Find without what was found before.
func (s *Sources) look(dir, file string) string {
	slashed := strings.ReplaceAll(file, `\`, "/") // a host may be of another kind
	if !strings.Contains(slashed, "/") {
		return s.existing(filepath.Join(dir, slashed))
	}
	if filepath.IsAbs(file) {
		if path := s.existing(file); path != "" {
			return path
		}
	} else if path := s.existing(filepath.Join(s.workdir, filepath.FromSlash(slashed))); path != "" {
		return path // the go command's text names files from where it works
	}
	at := strings.LastIndexByte(slashed, '/')
	if base, ok := s.dirs[slashed[:at]]; ok { // -trimpath
		return s.existing(filepath.Join(base, slashed[at+1:]))
	}
	return s.mirrored(dir, slashed)
}

// mirrored finds a file of a mirror: the tree is the same here, below a directory above the
// package's, and the longest tail of the path that is there is it.
func (s *Sources) mirrored(dir, file string) string {
	parts := strings.Split(strings.TrimLeft(file, "/"), "/")
	for i := 1; i < len(parts); i++ {
		tail := filepath.Join(parts[i:]...)
		if !filepath.IsLocal(tail) {
			return ""
		}
		for above := dir; ; above = filepath.Dir(above) {
			if path := s.existing(filepath.Join(above, tail)); path != "" {
				return path
			}
			if above == s.workdir || above == filepath.Dir(above) || !strings.HasPrefix(above, s.workdir) {
				break
			}
		}
	}
	return ""
}

// resolve finds the directories whose files may be shown. A run without failures never asks.
func (s *Sources) resolve() {
	s.roots = []string{}
	s.root(s.workdir) // most packages are below it
	for dir := range maps.Values(s.dirs) {
		s.root(dir)
	}
}

// root is a directory whose files may be shown. One below another adds nothing.
func (s *Sources) root(dir string) {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil && !s.shows(real) {
		s.roots = append(s.roots, real)
	}
}

// shows reports whether a path, links resolved, is where the sources of the run are.
func (s *Sources) shows(real string) bool {
	return slices.ContainsFunc(s.roots, func(root string) bool { return below(root, real) })
}

func below(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && filepath.IsLocal(rel)
}

// existing returns the path of a regular file that is where the sources of the run are, "" for
// others: the output of a test, which names it, must not make a report of any file of this machine.
func (s *Sources) existing(path string) string {
	if s.roots == nil {
		s.resolve()
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil || !s.shows(real) {
		return ""
	}
	if info, err := os.Lstat(real); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

// Lines returns a line of a file that the output of a package names.
func (s *Sources) Lines(pkg string) Lines {
	return func(file string, line int) (string, bool) {
		text := s.read(s.Find(pkg, file))
		if line < 1 || line > len(text) {
			return "", false
		}
		return text[line-1], true
	}
}

// read returns the lines of a file, nil when it cannot be had.
func (s *Sources) read(path string) []string {
	if path == "" {
		return nil
	}
	lines, ok := s.files[path]
	if ok {
		return lines
	}
	if info, err := os.Stat(path); err == nil && info.Size() <= sourceBytes && s.kept < sourcesKept {
		if text, err := os.ReadFile(path); err == nil {
			s.kept += len(text)
			lines = strings.Split(string(text), "\n")
		}
	}
	if s.files == nil {
		s.files = map[string][]string{}
	}
	s.files[path] = lines
	return lines
}

// Name is how a package is called: by its directory from the working directory where it is below
// it, else by its import path. What the events have behind the path stays.
func (s *Sources) Name(pkg string) string {
	path, rest, more := strings.Cut(pkg, " ")
	dir := s.dirs[path]
	if dir == "" {
		return Printable(pkg)
	}
	rel, err := filepath.Rel(s.workdir, dir)
	switch {
	case err != nil || !filepath.IsLocal(rel):
		return Printable(pkg)
	case rel == ".":
		rel = Base(path)
	}
	if more {
		rel += " " + rest
	}
	return Printable(filepath.ToSlash(rel))
}

// Place is how the place of a failure of a package is printed, "" when it is not known.
func (s *Sources) Place(pkg string, p Place) string {
	if p.Line == 0 {
		return ""
	}
	file := p.File
	if path := s.Find(pkg, p.File); path != "" {
		file = s.Shown(path)
	}
	return fmt.Sprintf("%s:%d", file, p.Line)
}

// Shown is how a path is printed: from the working directory where it is below it.
func (s *Sources) Shown(path string) string {
	if rel, err := filepath.Rel(s.workdir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

var version = regexp.MustCompile(`/v[0-9]+$`)

// Base is what the package of an import path is called for short: its last element that is no major
// version.
func Base(path string) string {
	path = version.ReplaceAllString(path, "")
	return path[strings.LastIndexByte(path, '/')+1:]
}

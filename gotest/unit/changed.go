package unit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	// changedLooks bounds how many files are looked at, and changedNames how many are named.
	changedLooks = 20_000
	changedNames = 5
	// changedGrain is how coarse the times of file systems may be.
	changedGrain = 10 * time.Millisecond
)

var errEnough = errors.New("enough was seen")

// changedFiles names files that a process has made or changed which began at a time and that are
// still there, relative to the package directory. Below that directory it is any file. Directly in
// it, where reports and logs of the run may be, it is one that was made. Elsewhere in the module it
// is one that was made where no other package has its place, with a name for what tests want.
func changedFiles(dir string, since time.Time) []string {
	c := changes{dir: dir, since: since.Add(-changedGrain)}
	c.below(dir, func(path string, d fs.DirEntry) bool { return ofOthers(path, d.Name()) }, func(path string) bool {
		return filepath.Dir(path) != dir || c.made(path, true)
	})
	if root := moduleRoot(dir); root != dir {
		skip := func(path string, d fs.DirEntry) bool {
			return path == dir || !isAbove(path, dir) && ofOthers(path, d.Name())
		}
		others := make(map[string]bool) // directories above with tests of their own
		for in := filepath.Dir(dir); isAbove(root, in) && in != filepath.Dir(in); in = filepath.Dir(in) {
			others[in] = hasFiles(in, "*_test.go")
		}
		c.below(root, skip, func(path string) bool {
			return !others[filepath.Dir(path)] && wanted.MatchString(strings.TrimPrefix(path, root)) && c.made(path, false)
		})
	}
	return c.names
}

// wanted matches the path of a file that may be what a test compares with.
var wanted = regexp.MustCompile(`(?i)golden|snap|testdata|fixture|expect|want|approved|baseline`)

// changes looks for files that have changed.
type changes struct {
	dir   string // names are relative to this
	since time.Time
	looks int
	names []string
}

// below looks through a directory, without those below it that are to be passed over, for changed
// files that count. What cannot be read was not changed, as far as anybody can tell.
func (c *changes) below(root string, pass func(string, fs.DirEntry) bool, counts func(string) bool) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if c.looks++; c.looks > changedLooks || len(c.names) == changedNames {
			return errEnough
		}
		if err != nil {
			return nil
		}
		if d.IsDir() {
			if path != root && pass(path, d) {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil || !d.Type().IsRegular() || changeTime(info).Before(c.since) || !counts(path) {
			return nil
		}
		if name, err := filepath.Rel(c.dir, path); err == nil {
			c.names = append(c.names, name)
		}
		return nil
	})
}

// made reports whether a file was made since then; unknown is what is true where the file system
// does not tell.
func (c *changes) made(path string, unknown bool) bool {
	at, ok := birth(path)
	if !ok {
		return unknown
	}
	return !at.Before(c.since)
}

// isAbove tells whether dir is path, or below it.
func isAbove(path, dir string) bool {
	return dir == path || strings.HasPrefix(dir, strings.TrimSuffix(path, string(filepath.Separator))+string(filepath.Separator))
}

// moduleRoot is the directory of the module that has dir, or dir.
func moduleRoot(dir string) string {
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return root
		}
		if root == filepath.Dir(root) {
			return dir
		}
	}
}

func hasFiles(dir, pattern string) bool {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	return err == nil && len(found) > 0
}

// ofOthers reports whether a directory below a package's is not the package's own.
func ofOthers(path, name string) bool {
	if name == "testdata" {
		return false
	}
	if strings.HasPrefix(name, ".") {
		return true
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if filepath.Base(dir) == "testdata" {
			return false
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return hasFiles(path, "*.go")
}

// changeTime is when a file's content or record was changed last, as far as the system tells.
func changeTime(info os.FileInfo) time.Time {
	if at, ok := statusChange(info); ok {
		return at
	}
	return info.ModTime()
}

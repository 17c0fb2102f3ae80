package unit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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

// changedFiles names files below the package directory that were made or changed since a process
// started, relative to it. Directories of other packages are left out.
func changedFiles(dir string, since time.Time) []string {
	var names []string
	looks := 0
	since = since.Add(-changedGrain)
	walk := func(path string, d fs.DirEntry, err error) error {
		if looks++; looks > changedLooks || len(names) == changedNames {
			return errEnough
		}
		if err != nil {
			return nil
		}
		if d.IsDir() {
			if path != dir && ofOthers(path, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err == nil && d.Type().IsRegular() && !changeTime(info).Before(since) {
			if name, err := filepath.Rel(dir, path); err == nil {
				names = append(names, name)
			}
		}
		return nil
	}
	_ = filepath.WalkDir(dir, walk) // what cannot be read was not changed, as far as anybody can tell
	return names
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
	found, err := filepath.Glob(filepath.Join(path, "*.go"))
	return err == nil && len(found) > 0
}

// changeTime is when a file's content or record was changed last, as far as the system tells.
func changeTime(info os.FileInfo) time.Time {
	if at, ok := statusChange(info); ok {
		return at
	}
	return info.ModTime()
}

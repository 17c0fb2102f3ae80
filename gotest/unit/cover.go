package unit

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxProfile bounds the text profile of one process, in bytes. The largest seen, of a program with
// 3,000 packages under -coverpkg=./..., is a tenth of it.
const maxProfile = 256 << 20

// A coverDir is where a covered process leaves its counters and its profile. The zero value is that
// of a process that is not covered.
type coverDir struct {
	root    string // removed by remove
	profile string // text profile, or "" when none is asked for
}

// newCoverDir makes the directories of a covered unit and returns its arguments and environment
// with their names in them.
func newCoverDir(u Unit, args []string) (d coverDir, newArgs, env []string, err error) {
	root, err := os.MkdirTemp("", "xdist-cover-")
	if err != nil {
		return d, nil, nil, fmt.Errorf("make coverage directory of %s: %w", u.Package, err)
	}
	d.root = root
	counters := filepath.Join(root, "gocoverdir")
	if err = os.Mkdir(counters, 0o777); err == nil && u.CoverMeta != "" {
		err = putMetaFiles(counters, u.CoverMeta)
	}
	if err != nil {
		d.remove()
		return coverDir{}, nil, nil, fmt.Errorf("fill coverage directory of %s from %s: %w", u.Package, u.CoverMeta, err)
	}
	args = setFlag(args, "gocoverdir", counters)
	if u.CoverProfile {
		d.profile = filepath.Join(root, "profile.out")
		args = setFlag(args, "coverprofile", d.profile)
	}
	return d, args, []string{"GOCOVERDIR=" + counters}, nil
}

// metaFilesName is the file in a GOCOVERDIR by which the coverage runtime finds the metafiles of
// packages that are not in the binary.
const metaFilesName = "metafiles.txt"

// putMetaFiles writes that file with the names of those in meta in full. They themselves stay in
// meta: the runtime would take what it finds beside its counters for its own.
func putMetaFiles(counters, meta string) error {
	data, err := os.ReadFile(filepath.Join(meta, metaFilesName))
	if err != nil {
		return err
	}
	var files struct {
		ImportPaths       []string
		MetaFileFragments []string
	}
	if err := json.Unmarshal(data, &files); err != nil {
		return fmt.Errorf("read %s: %w", metaFilesName, err)
	}
	for i, name := range files.MetaFileFragments {
		files.MetaFileFragments[i] = filepath.Join(meta, name)
	}
	if data, err = json.Marshal(files); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(counters, metaFilesName), data, 0o600)
}

// read returns the profile, or nil when there is none: a process that is killed leaves none.
func (d coverDir) read() ([]byte, error) {
	if d.profile == "" {
		return nil, nil
	}
	f, err := os.Open(d.profile)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read cover profile: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProfile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read cover profile: %w", err)
	case len(text) > maxProfile:
		return nil, fmt.Errorf("read cover profile: larger than %d bytes", maxProfile)
	case len(text) == 0:
		return nil, nil
	}
	return text, nil
}

// remove deletes all that the process left. A file that cannot be deleted is in the system's
// temporary directory, and so left to the system.
func (d coverDir) remove() {
	if d.root != "" {
		os.RemoveAll(d.root)
	}
}

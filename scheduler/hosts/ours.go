package hosts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Names in directories that are everybody's can be exchanged between a look and a deed. Such a
// directory is opened once; what is in it is looked at and removed through that.

// isOurDir reports whether there is a directory of this user, and no link to one.
func isOurDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir() && isOurs(info)
}

// openOurs opens a directory of this user. It is an error when it is another user's, or a link.
func openOurs(dir string) (*os.Root, error) {
	return openAs(dir, os.Lstat, os.OpenRoot)
}

// openAs opens what was seen to be a directory of this user's.
func openAs(name string, look func(string) (fs.FileInfo, error), open func(string) (*os.Root, error)) (*os.Root, error) {
	before, err := look(name)
	if err != nil {
		return nil, err
	}
	if !before.IsDir() || !isOurs(before) {
		return nil, notOurs(name)
	}
	root, err := open(name)
	if err != nil {
		return nil, err
	}
	if now, err := root.Stat("."); err != nil || !os.SameFile(before, now) {
		root.Close()
		return nil, errors.Join(err, notOurs(name)) // something else has come in its place
	}
	return root, nil
}

func notOurs(name string) error {
	return fmt.Errorf("%s: it belongs to another user, or is no directory", name)
}

// oursIn lists the directories of this user in a directory of a root. There is nothing in a nil
// root.
func oursIn(root *os.Root, dir string) (found []fs.FileInfo) {
	if root == nil {
		return nil
	}
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		return nil // it is not there
	}
	for _, e := range entries {
		info, err := root.Lstat(path.Join(dir, e.Name()))
		if err == nil && info.IsDir() && isOurs(info) {
			found = append(found, info)
		}
	}
	return found
}

// removeTree removes a directory of this user's.
func removeTree(dir string) error {
	parent, err := os.OpenRoot(filepath.Dir(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission): // it may be entered all the same
		return os.RemoveAll(dir)
	case err != nil:
		return err
	}
	defer parent.Close()
	return removeTreeIn(parent, filepath.Base(dir))
}

// removeTreeIn removes a directory of this user's, with directories that tests have made read-only.
// One that is not there is no error.
func removeTreeIn(parent *os.Root, name string) error {
	info, err := parent.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir() || !isOurs(info):
		return notOurs(name)
	}
	if err = parent.RemoveAll(name); err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	root, rootErr := openAs(name, parent.Lstat, parent.OpenRoot)
	if rootErr != nil {
		return errors.Join(err, rootErr)
	}
	fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			root.Chmod(path, 0o700) // what stays closed is in the error of RemoveAll
		}
		return nil
	})
	root.Close()
	return parent.RemoveAll(name)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

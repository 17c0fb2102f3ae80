package rsync

import "os"

// folder is a directory of a tree that files are put into. Only one goroutine may use it.
type folder struct {
	tree *os.Root
	path string // in tree
	root *os.Root
	quick
}

// open returns the directory for all that put does not do.
func (d *folder) open() (*os.Root, error) {
	if d.root != nil {
		return d.root, nil
	}
	var err error
	d.root, err = d.tree.OpenRoot(d.path)
	return d.root, err
}

func (d *folder) close() {
	if d.root != nil {
		d.root.Close()
	}
	d.quick.close()
}

// folders are directories of a tree, those used last. Only one goroutine may use it.
type folders struct {
	job   *job
	byDir map[string]*folder
	order []string // oldest first
}

// foldersAtMost is how many directories a writer has open. Files come directory by directory.
const foldersAtMost = 8

func newFolders(j *job) *folders { return &folders{job: j, byDir: make(map[string]*folder)} }

// get returns a directory, which stays open until foldersAtMost others have been asked for.
func (f *folders) get(dir string) *folder {
	if d := f.byDir[dir]; d != nil {
		return d
	}
	if len(f.order) == foldersAtMost {
		f.byDir[f.order[0]].close()
		delete(f.byDir, f.order[0])
		f.order = append(f.order[:0], f.order[1:]...)
	}
	d := &folder{tree: f.job.root, path: dir}
	f.byDir[dir] = d
	f.order = append(f.order, dir)
	return d
}

func (f *folders) close() {
	for _, d := range f.byDir {
		d.close()
	}
}

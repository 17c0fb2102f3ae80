package unit

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What a process makes or changes in its package's directory is found, and nothing of other
// packages.
func TestChangedFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(names ...string) {
		for _, name := range names {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("old.txt", "a_test.go", "sub/p.go", "testdata/mod/x.go")
	past := time.Now().Add(-time.Hour)
	if got := changedFiles(dir, past); len(got) != 3 {
		t.Errorf("since an hour ago: %v", got)
	}
	since := time.Now().Add(time.Second)
	if got := changedFiles(dir, since); len(got) != 0 {
		t.Errorf("nothing changed: %v", got)
	}
	later := since.Add(time.Second)
	write("testdata/a.golden", "sub/other.out", ".git/index", "testdata/mod/y.go")
	for _, name := range []string{"testdata/a.golden", "sub/other.out", ".git/index", "testdata/mod/y.go"} {
		if err := os.Chtimes(filepath.Join(dir, name), later, later); err != nil {
			t.Fatal(err)
		}
	}
	got := changedFiles(dir, past.Add(59*time.Minute))
	slices.Sort(got)
	for _, name := range got {
		if name == "sub/other.out" || name == ".git/index" {
			t.Errorf("%s is another package's", name)
		}
	}
	if !slices.Contains(got, filepath.Join("testdata", "a.golden")) || !slices.Contains(got, filepath.Join("testdata", "mod", "y.go")) {
		t.Errorf("got %v", got)
	}
}

// So is what it changes elsewhere in its module, but not what other packages may have changed.
func TestChangedFilesOfTheModule(t *testing.T) {
	root := t.TempDir()
	write := func(names ...string) {
		for _, name := range names {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("go.mod", "a/a.go", "a/b/b_test.go", "other/o.go", "c/c_test.go", "c/d/d_test.go")
	start := time.Now()
	for file, want := range map[string]bool{
		"golden/x": true, "testdata/x": true, "top.golden": true, "a/want": true, "a/b/x": true, "a/b/testdata/x": true, "a/data/Snapshot.txt": true,
		"top": false, "log/x": false, "other/want": false, "other/testdata/x": false, "c/want": false, ".git/want": false, "../want": false,
	} {
		write(file)
		rel, err := filepath.Rel(filepath.Join(root, "a", "b"), filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		got := changedFiles(filepath.Join(root, "a", "b"), start.Add(-time.Hour))
		if old := slices.Contains(got, rel); old != want && len(got) < changedNames {
			t.Errorf("%s: %v", file, got)
		}
		os.Remove(filepath.Join(root, file))
	}
	write("c/want", "c/d/y")
	if got := changedFiles(filepath.Join(root, "c", "d"), start.Add(-time.Hour)); slices.Contains(got, "../want") || !slices.Contains(got, "y") {
		t.Errorf("the directory above has tests of its own: %v", got)
	}
}

// What was there before counts below the directory, and not directly in it, where the run may have
// its reports and its log.
func TestChangedFilesThatWereThere(t *testing.T) {
	dir := t.TempDir()
	add := func(name string) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("more\n"); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := os.Mkdir(filepath.Join(dir, "testdata"), 0o755); err != nil {
		t.Fatal(err)
	}
	add("report")
	add("testdata/golden")
	if _, known := birth(filepath.Join(dir, "report")); !known {
		t.Skip("skipped: the file system does not tell when a file was made")
	}
	time.Sleep(2 * changedGrain) // the clock of the file system
	since := time.Now()
	add("report")
	add("testdata/golden")
	add("made")
	got := changedFiles(dir, since)
	slices.Sort(got)
	if want := []string{"made", filepath.Join("testdata", "golden")}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

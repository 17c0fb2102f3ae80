package gateway

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	fuzzedContent = "content"
	fuzzedSecret  = "its size is no other's: it is a secret"
)

// fuzzedHome makes a directory with a few files, and a secret beside it that a link leads to.
func fuzzedHome(t *testing.T) (base, home string) {
	t.Helper()
	base = t.TempDir()
	home = filepath.Join(base, "home")
	err := errors.Join(
		os.MkdirAll(filepath.Join(home, "sub"), 0o700),
		os.WriteFile(filepath.Join(home, "a"), []byte(fuzzedContent), 0o600),
		os.WriteFile(filepath.Join(home, "sub", "x"), nil, 0o600),
		os.WriteFile(filepath.Join(base, "secret"), []byte(fuzzedSecret), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	os.Symlink(filepath.Join("..", "secret"), filepath.Join(home, "link")) // not everywhere
	return base, home
}

// FuzzFileRequest has a controller ask for files with any bytes. Nothing is read from outside of
// the directory, and what was not written as a whole is not there.
func FuzzFileRequest(f *testing.F) {
	for _, r := range []fileRequest{
		{Op: fileLook, Name: "a"}, {Op: fileOpen, Name: "a"}, {Op: fileOpen, Dir: "sub", Name: "."}, {Op: fileOpen, Name: "."},
		{Op: fileOpen, Name: "link"}, {Op: fileLook, Name: "../secret"}, {Op: fileOpen, Dir: "..", Name: "../secret"}, {Op: 9, Name: "a"},
		{Op: fileWrite, Name: "b", Perm: 0o640}, {Op: fileWrite, Name: "a", Perm: 0xffffffff}, {Op: fileWrite, Name: "sub"}, {Op: fileWrite, Name: "no/b"},
	} {
		f.Add(encoded(f, r), []byte("\x43abc"), []byte("\x61d"), true)
	}
	f.Add(encoded(f, fileRequest{Op: fileWrite, Name: "b"}), []byte("\x43abc"), []byte("\x05"), true)
	f.Add(encoded(f, fileRequest{Op: fileWrite, Name: "b"}), []byte("\x43abc"), []byte{}, false)
	f.Add([]byte("\xa3\x01\x02\x03\x61.\x04\x61x"), []byte{}, []byte{}, false)
	f.Fuzz(func(t *testing.T, args, first, second []byte, ends bool) {
		base, home := fuzzedHome(t)
		var req fileRequest
		args, ok := confined(t, args, func(r *fileRequest) {
			r.Dir = filepath.Join(home, filepath.Clean("/"+r.Dir))
			if r.Op == fileWrite {
				r.Name = filepath.Join(home, filepath.Clean("/"+r.Name))
			}
			req = *r
		})
		before, _ := os.ReadFile(req.Name) // most are none
		var a answer
		synctest.Test(t, func(t *testing.T) {
			frugally(t, 8<<20, func() {
				a = hear(t, nil, withBuiltins(nil), fileHandler, spoken{args: args, items: [][]byte{first, second}, ends: ends})
			})
		})
		if !ok && a.failure == nil {
			t.Errorf("%x is a request", args)
		}
		if req.Op == fileWrite {
			checkWritten(t, req, before, a.failure == nil && ends, first, second)
		} else {
			checkLent(t, req, a)
		}
		filepath.WalkDir(base, func(name string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(d.Name(), ".xdist-") {
				t.Errorf("%s is left", name)
			}
			return nil
		})
	})
}

// checkWritten compares a file with what was sent when that was all, and with what it was else.
func checkWritten(t *testing.T, req fileRequest, before []byte, whole bool, sent ...[]byte) {
	t.Helper()
	var want []byte
	for _, it := range sent {
		if len(it) == 0 {
			continue
		}
		b, err := Item(it).Bytes()
		if err != nil && whole {
			t.Errorf("%x is content", it)
		}
		want = append(want, b...)
	}
	got, err := os.ReadFile(req.Name)
	switch {
	case whole && (err != nil || !bytes.Equal(got, want)):
		t.Errorf("%q is written, want %q (%v)", got, want, err)
	case !whole && !bytes.Equal(got, before) && !bytes.Equal(got, want):
		t.Errorf("%q is written, and the end has not come", got)
	}
}

// checkLent checks an answer: what a file is, and then its content or entries.
func checkLent(t *testing.T, req fileRequest, a answer) {
	t.Helper()
	if a.failure != nil {
		if len(a.items) > 0 || a.failure.Text == "" {
			t.Errorf("%d items, and then %v", len(a.items), a.failure)
		}
		return
	}
	if len(a.items) == 0 {
		t.Fatal("neither an item nor an error")
	}
	var st fileStat
	if err := a.items[0].Decode(&st); err != nil || st.Name == "" || st.Size == int64(len(fuzzedSecret)) {
		t.Errorf("it is %+v, %v", st, err)
	}
	for _, it := range a.items[1:] {
		var list []fileStat
		if fs.FileMode(st.Mode).IsDir() {
			if err := it.Decode(&list); err != nil || len(list) == 0 || len(list) > listChunk {
				t.Errorf("%d entries, %v", len(list), err)
			}
			continue
		}
		if b, err := it.Bytes(); err != nil || req.Op == fileLook || string(b) == fuzzedSecret {
			t.Errorf("%+v gets %q, %v", req, b, err)
		}
	}
}

// FuzzFileAnswer has an agent tell of files with any bytes. What cannot be is an error, and no name
// of an entry leads anywhere else.
func FuzzFileAnswer(f *testing.F) {
	now := time.Unix(1e9, 0).UTC()
	file := encoded(f, fileStat{Name: "a", Size: 3, Mode: 0o640, ModTime: now})
	dir := encoded(f, fileStat{Name: ".", Mode: uint32(fs.ModeDir | 0o755), ModTime: now})
	list := func(names ...string) []byte {
		var stats []fileStat
		for _, name := range names {
			stats = append(stats, fileStat{Name: name, Mode: 0o600, ModTime: now})
		}
		return encoded(f, stats)
	}
	f.Add(file, []byte("\x43abc"), []byte("\x60"), "")
	f.Add(file, []byte("\x43abc"), []byte("\x05"), "")
	f.Add(file, list("a"), []byte{}, "disk is on fire")
	f.Add(dir, list("b", "a"), list("c"), "")
	f.Add(dir, list("a"), []byte("\x43abc"), "")
	f.Add(dir, list(), list("a", "b", "c"), "disk is on fire")
	f.Add([]byte("\xa0"), []byte{}, []byte{}, "")
	f.Add([]byte("\x05"), []byte{}, []byte{}, "")
	f.Add([]byte("\xa2\x02\x20\x04\x78\x140001-01-01T00:00:00Z"), []byte{}, []byte{}, "")
	f.Fuzz(func(t *testing.T, first, second, third []byte, end string) {
		synctest.Test(t, func(t *testing.T) {
			handlers := Handlers{fileHandler: sayer(end, first, second, third)}
			hostileBubble(t, handlers, func(gw *Gateway) {
				frugally(t, 8<<20, func() { useFiles(t, gw) })
			})
		})
	})
}

// useFiles reads all there is by a gateway's files.
func useFiles(t *testing.T, gw *Gateway) {
	t.Helper()
	files := gw.FS("dir")
	isPathError := func(err error) {
		t.Helper()
		if _, ok := errors.AsType[*fs.PathError](err); err != nil && !ok {
			t.Errorf("undocumented error %v", err)
		}
	}
	info, err := fs.Stat(files, "a")
	isPathError(err)
	if err == nil && (info.Name() != "a" || info.IsDir() != info.Mode().IsDir()) {
		t.Errorf("it is %+v", info)
	}
	_, err = fs.ReadFile(files, "a")
	isPathError(err)
	entries, err := fs.ReadDir(files, ".")
	isPathError(err)
	for _, e := range entries {
		checkEntry(t, e)
	}
	file, err := files.Open("a")
	isPathError(err)
	if err != nil {
		return
	}
	some, err := file.(fs.ReadDirFile).ReadDir(1)
	if !errors.Is(err, io.EOF) {
		isPathError(err)
	}
	if len(some) > 1 || len(some) == 0 && err == nil {
		t.Errorf("%d entries instead of one, %v", len(some), err)
	}
	io.Copy(io.Discard, file)
	isPathError(file.Close())
	isPathError(gw.WriteFile(t.Context(), "a", []byte("content"), 0o600))
}

func checkEntry(t *testing.T, e fs.DirEntry) {
	t.Helper()
	if name := e.Name(); !fs.ValidPath(name) || name == "." || strings.Contains(name, "/") {
		t.Errorf("an entry has the name %q", name)
	}
	if info, err := e.Info(); err != nil || e.Type() != info.Mode().Type() || e.IsDir() != info.IsDir() {
		t.Errorf("entry %s has mode %v, %v", e.Name(), info.Mode(), err)
	}
}

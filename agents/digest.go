package agents

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// stamp is what is remembered of an executable, so that it need not be read again while nothing
// about it changes.
type stamp struct {
	Path     string
	Size     int64
	Modified int64 // in nanoseconds
	Inode    uint64
	Digest   string
}

// usedEvery is how often a stamp's own time is brought up to date, which tells prune what is in
// use.
const usedEvery = 24 * time.Hour

// digest returns the SHA-256 of a file in hexadecimal digits, from its stamp where that is true.
func (m *Maker) digest(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	now := stampOf(name, info)
	file := m.stampFile(name)
	if had, ok := readStamp(file); ok {
		now.Digest = had.Digest
		if had == now {
			return had.Digest, nil
		}
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	now.Digest = hex.EncodeToString(hash.Sum(nil))
	m.writeStamp(file, now)
	return now.Digest, nil
}

// stampOf is the stamp of a file but for its digest.
func stampOf(name string, info fs.FileInfo) stamp {
	return stamp{Path: name, Size: info.Size(), Modified: info.ModTime().UnixNano(), Inode: inode(info)}
}

// intact reports whether a file is there and has not changed since its stamp was made.
func (m *Maker) intact(name string) bool {
	info, err := os.Stat(name)
	if err != nil {
		return false
	}
	had, ok := readStamp(m.stampFile(name))
	now := stampOf(name, info)
	now.Digest = had.Digest
	return ok && had == now
}

// stampFile is where the stamp of a file is: in the Maker's directory, whatever directory the file
// is in.
func (m *Maker) stampFile(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(m.cfg.Dir, hex.EncodeToString(sum[:16])+".stamp")
}

// readStamp also marks the stamp as used.
func readStamp(file string) (s stamp, ok bool) {
	data, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(data, &s) != nil || len(s.Digest) != 2*sha256.Size {
		return stamp{}, false
	}
	if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > usedEvery {
		now := time.Now()
		os.Chtimes(file, now, now) // else it is pruned too early, and made again
	}
	return s, true
}

// writeStamp does its best: without a stamp the file is read again next time.
func (m *Maker) writeStamp(file string, s stamp) {
	data, err := json.Marshal(s)
	if err != nil || os.MkdirAll(m.cfg.Dir, 0o777) != nil {
		return
	}
	tmp, err := os.CreateTemp(m.cfg.Dir, "stamp-*"+temporary)
	if err != nil {
		return
	}
	_, err = tmp.Write(data)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
}

// selfContained reports whether an executable of this platform runs on hosts that lack this one's
// shared libraries. On Linux one that was linked with the C library does not; elsewhere a Go
// program uses at most the system's libraries, which are the same everywhere.
func selfContained(name string) bool {
	if runtime.GOOS != "linux" {
		return true
	}
	f, err := elf.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}

// compiledIn reports whether a file of the sources has a part in an agent.
func compiledIn(name string) bool { return !strings.HasSuffix(name, "_test.go") }

// sourceDigest is a digest of all names and contents that go into an agent.
func sourceDigest(sources fs.FS) (string, error) {
	total := sha256.New()
	err := walkSources(sources, func(name string, content []byte) error {
		sum := sha256.Sum256(content)
		io.WriteString(total, name+"\x00") // a hash.Hash returns no error
		total.Write(sum[:])
		return nil
	})
	return hex.EncodeToString(total.Sum(nil)), err
}

// walkSources calls visit for each file that goes into an agent, in the order of their names.
func walkSources(sources fs.FS, visit func(name string, content []byte) error) error {
	return fs.WalkDir(sources, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !compiledIn(path.Base(name)) {
			return err
		}
		content, err := fs.ReadFile(sources, name)
		if err != nil {
			return err
		}
		return visit(name, content)
	})
}

package agents

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"io"
	"io/fs"
	"path"
	"runtime"
	"strings"
)

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

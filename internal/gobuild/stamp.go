package gobuild

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/xdist-go/xdist/internal/ownfile"
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

// usedEvery is how often a stamp's own time is brought up to date, which tells Prune what is in
// use.
const usedEvery = 24 * time.Hour

// stampLimit and knownLimit bound what is read of a stamp and of what is remembered of a program,
// in bytes: a program of 50,000 files has some 5 MB.
const (
	stampLimit = 64 << 10
	knownLimit = 64 << 20
)

// Digest returns the SHA-256 of a file in hexadecimal digits, from its stamp where that is true.
func (d Dir) Digest(name string) (string, error) {
	f, err := ownfile.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	now := stampOf(name, info)
	file := d.StampFile(name)
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
	if data, err := json.Marshal(now); err == nil {
		d.Write(file, data) // without a stamp the file is read again next time
	}
	return now.Digest, nil
}

// stampOf is the stamp of a file but for its digest.
func stampOf(name string, info fs.FileInfo) stamp {
	return stamp{Path: name, Size: info.Size(), Modified: info.ModTime().UnixNano(), Inode: inode(info)}
}

// Intact reports whether a file is there and has not changed since its stamp was made.
func (d Dir) Intact(name string) bool {
	info, err := os.Stat(name)
	if err != nil {
		return false
	}
	had, ok := readStamp(d.StampFile(name))
	now := stampOf(name, info)
	now.Digest = had.Digest
	return ok && had == now
}

// StampFile is where the stamp of a file is: in d, whatever directory the file is in.
func (d Dir) StampFile(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(d.Path, hex.EncodeToString(sum[:16])+".stamp")
}

// readStamp also marks the stamp as used.
func readStamp(file string) (s stamp, ok bool) {
	data, err := ownfile.Read(file, stampLimit)
	if err != nil || json.Unmarshal(data, &s) != nil || len(s.Digest) != 2*sha256.Size {
		return stamp{}, false
	}
	used(file)
	return s, true
}

// Write makes a file of d, in one step for those who look at it.
func (d Dir) Write(name string, data []byte) error {
	if err := ownfile.MakeDir(d.Path); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(d.Path, "file-*"+Temporary)
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

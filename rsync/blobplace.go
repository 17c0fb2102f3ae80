package rsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/xdist-go/xdist/internal/diskspace"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// BlobDir returns the directory in which this host keeps what [PutBlob] brings, and makes it. The
// error tells what is wrong with each place that was tried.
func BlobDir() (string, error) {
	s, err := openBlobs(blobDirs())
	if err != nil {
		return "", err
	}
	return s.dir, s.root.Close()
}

// KeepBlob puts an executable of this host, whose SHA-256 is digest, where [PutBlob] would bring
// it, and returns its absolute path there. The name is that of path. What is there already is
// looked at once a day, path itself is not. It is a hard link where it can be, so that path must
// not be written to afterwards.
func KeepBlob(ctx context.Context, path, digest string) (string, error) {
	kept, err := keepBlob(ctx, path, digest)
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", path, err)
	}
	return kept, nil
}

func keepBlob(ctx context.Context, path, digest string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	b := Blob{Digest: digest, Name: filepath.Base(path), Size: info.Size()}
	if err := b.check(); err != nil {
		return "", err
	}
	s, err := openBlobsFor(blobDirs(), b)
	if err != nil {
		return "", err
	}
	defer s.root.Close()
	if p := s.find(b); p != "" && !s.doubts(b, false) {
		return p, nil
	}
	held, err := lock(ctx, filepath.Join(s.dir, blobTemp, b.Digest+".lock"), 0)
	if err != nil {
		return "", err
	}
	defer held.Close()
	if p := s.find(b); p != "" && (!s.doubts(b, false) || s.right(b)) { // who had the lock before may have put it
		return p, nil
	}
	temp := blobTemp + "/" + b.Digest + tempSuffix
	s.root.Remove(temp) // what is left of a transfer, which is of no use now
	if os.Link(path, filepath.Join(s.dir, filepath.FromSlash(temp))) != nil {
		if err := s.copy(path, temp); err != nil {
			return "", err
		}
	}
	return filepath.Join(s.dir, b.Digest, b.Name), s.install(temp, b)
}

// copy copies a file of this host, where no link can be made to it.
func (s *blobs) copy(path, temp string) error {
	from, err := ownfile.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := s.root.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, CloseExecutable(to))
}

// BlobDirs returns every directory in which this host may have blobs.
func BlobDirs() []string { return blobDirs() }

// NoExec reports whether programs cannot be started from a directory, as far as its file system
// says so.
func NoExec(dir string) bool { return diskspace.NoExec(dir) }

// A target DIR is locked by the file LockName in the directory beside it whose name is .DIR and
// SideSuffix.
const (
	SideSuffix = ".xdist-sync"
	LockName   = lockFile
)

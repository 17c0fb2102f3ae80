package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/diskspace"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// DefaultMaxBytes is the bound of a store that is opened with none: some hundred test binaries.
const DefaultMaxBytes = 4 << 30

// TempPrefix begins the name of a directory among the temporary files that holds a store for one
// run, whoever makes it.
const TempPrefix = "xdist-store-"

// A Store is a directory of binaries and records. It keeps no state of its own, so that any number
// of Stores and processes may share a directory.
type Store struct {
	dir string
	max int64 // bytes; negative is no bound
	log *slog.Logger
}

// How says how Put makes the store's file.
type How int

const (
	// Link makes a hard link where the file system can, else a copy. The file must not be written
	// to afterwards; it may be removed.
	Link How = iota
	// Copy makes a copy.
	Copy
)

// The names begin with an underscore because a store may lie inside of a module, as caches on CI
// machines do: the go command's patterns pass such directories over, which it would otherwise walk
// while their files come and go.
const (
	binDir    = "_bin"
	recDir    = "_rec"
	runsDir   = "_runs"
	tmpDir    = "_tmp"
	tmpPrefix = "put-"
)

// Open opens the store in dir, and makes it if need be. maxBytes is the bound that Prune brings it
// down to: zero is DefaultMaxBytes, negative is none. A nil log is silence.
//
// Open takes the same short time whatever the store holds. It tries to write, and fails with
// ErrReadOnly or ErrFull when it cannot. What it makes is this user's alone, and a directory in the
// store that another user may write to is an error, as in ownfile.CheckBelow: binaries are
// executed.
func Open(dir string, maxBytes int64, log *slog.Logger) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	if maxBytes == 0 {
		maxBytes = DefaultMaxBytes
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{dir: dir, max: maxBytes, log: log}
	if err = s.makeDirs(); err == nil {
		err = s.tryWrite()
	}
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, classify(err))
	}
	return s, nil
}

func (s *Store) makeDirs() error {
	subs := []string{binDir, recDir, runsDir, tmpDir}
	for _, sub := range subs {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o700); err != nil {
			return err
		}
	}
	return ownfile.CheckBelow(s.dir, subs...)
}

// tryWrite finds out whether files can be made. A byte is written because a full disk still takes
// empty files.
func (s *Store) tryWrite() error {
	f, err := s.temp()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write([]byte{0})
	return errors.Join(err, f.Close())
}

// Free returns how many bytes can still be written to the store's disk.
func (s *Store) Free() (int64, error) {
	n, err := diskspace.Free(s.dir)
	if err != nil {
		return 0, fmt.Errorf("ask for the free space of store %s: %w", s.dir, err)
	}
	return n, nil
}

// FreeFiles returns how many files can still be made on the store's disk; negative is any number.
func (s *Store) FreeFiles() (int64, error) {
	n, err := diskspace.FreeFiles(s.dir)
	if err != nil {
		return 0, fmt.Errorf("ask for the free files of store %s: %w", s.dir, err)
	}
	return n, nil
}

// Dir returns the absolute path of the store's directory.
func (s *Store) Dir() string { return s.dir }

// Put stores the binary in the file path and returns its digest. The file gets mode 0755; with Link
// that is the mode of path too. It reads the whole file, and writes it only when it has to be
// copied. Putting what is there already marks it as used, and replaces it: its content may be
// damaged.
//
// Errors are ErrReadOnly and ErrFull, those of reading path, and that of ctx.
func (s *Store) Put(ctx context.Context, path string, how How) (Digest, error) {
	var d Digest
	in, err := ownfile.Open(path)
	if err == nil {
		defer in.Close()
		d, err = s.put(ctx, in, how)
		if errors.Is(err, fs.ErrNotExist) && s.makeDirs() == nil {
			// A prune took our file in tmp for a forgotten one, or somebody removed the whole
			// store.
			if _, err = in.Seek(0, io.SeekStart); err == nil {
				d, err = s.put(ctx, in, how)
			}
		}
		err = classify(err)
	}
	if err != nil {
		return Digest{}, fmt.Errorf("put %s into store %s: %w", path, s.dir, err)
	}
	return d, nil
}

func (s *Store) put(ctx context.Context, in *os.File, how How) (Digest, error) {
	tmp, d, size, err := s.stage(ctx, in, how)
	if err != nil {
		return Digest{}, err
	}
	name := s.binName(d, size)
	err = publish(tmp, name)
	os.Remove(tmp) // it is there when it was not renamed, or is a name of the same file
	if err != nil && whole(name, size) {
		touch(name)
		return d, nil // it runs, and cannot be replaced on Windows
	}
	if err != nil {
		return Digest{}, err
	}
	return d, nil
}

// stage makes a file in tmp with the content of in, by linking or by copying, and returns its
// digest and size.
func (s *Store) stage(ctx context.Context, in *os.File, how How) (tmp string, d Digest, size int64, err error) {
	if how == Link {
		if tmp, ok := s.stageLink(in); ok {
			if d, size, err = digest(ctx, in, io.Discard); err != nil {
				os.Remove(tmp)
			}
			return tmp, d, size, err
		}
	}
	out, err := s.temp()
	if err != nil {
		return "", d, 0, err
	}
	tmp = out.Name()
	d, size, err = digest(ctx, in, out)
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Chmod(tmp, 0o755)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return tmp, d, size, err
}

// stageLink makes a link in tmp to the file that in was opened by. When it cannot, for whatever
// reason, the file is to be copied.
func (s *Store) stageLink(in *os.File) (tmp string, ok bool) {
	tmp = filepath.Join(s.dir, tmpDir, tmpPrefix+rand.Text())
	if os.Link(in.Name(), tmp) != nil {
		return "", false // another file system, or none that can
	}
	touch(tmp) // else it has the age of the original, and a prune may take it for a forgotten one
	opened, err := in.Stat()
	linked, linkedErr := os.Lstat(tmp)
	if err == nil && linkedErr == nil && linked.Mode().IsRegular() && os.SameFile(opened, linked) &&
		(linked.Mode().Perm() == 0o755 || os.Chmod(tmp, 0o755) == nil) {
		return tmp, true
	}
	os.Remove(tmp)
	return "", false // a symbolic link, replaced while we looked, or another user's
}

// digest copies in to out until ctx ends.
func digest(ctx context.Context, in io.Reader, out io.Writer) (d Digest, size int64, err error) {
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return d, size, err
		}
		n, err := in.Read(buf)
		h.Write(buf[:n]) // never fails
		if _, err := out.Write(buf[:n]); err != nil {
			return d, size, err
		}
		size += int64(n)
		if err == io.EOF {
			h.Sum(d[:0])
			return d, size, nil
		}
		if err != nil {
			return d, size, err
		}
	}
}

// temp makes an empty file in tmp, which the caller removes or renames.
func (s *Store) temp() (*os.File, error) {
	return os.CreateTemp(filepath.Join(s.dir, tmpDir), tmpPrefix)
}

// publish gives a complete file its name.
func publish(tmp, name string) error {
	err := os.Rename(tmp, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		err = os.Rename(tmp, name)
	}
	if err == nil {
		touch(name)
	}
	return err
}

// binName returns the file of a binary.
func (s *Store) binName(d Digest, size int64) string {
	digits := d.Hex()
	return filepath.Join(s.dir, binDir, digits[:2], digits+"-"+strconv.FormatInt(size, 10))
}

// parseBinName is the inverse of binName for the last element of the path.
func parseBinName(base string) (digits string, size int64, ok bool) {
	digits, text, ok := strings.Cut(base, "-")
	if !ok {
		return "", 0, false
	}
	if _, err := ParseDigest(digits); err != nil {
		return "", 0, false
	}
	size, err := strconv.ParseInt(text, 10, 64)
	return digits, size, err == nil && size >= 0
}

// find returns the file of a binary and its size. There can be truncated ones next to it.
func (s *Store) find(d Digest) (name string, size int64, ok bool) {
	dir := filepath.Dir(s.binName(d, 0))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", 0, false // nothing of this letter was ever put
	}
	for _, e := range entries {
		digits, size, ok := parseBinName(e.Name())
		if !ok || digits != d.Hex() {
			continue
		}
		name := filepath.Join(dir, e.Name())
		if whole(name, size) {
			return name, size, true
		}
		s.log.Warn("remove truncated binary from store", "file", name)
		os.Remove(name) // in vain at worst: it is found truncated again
	}
	return "", 0, false
}

// whole reports whether a file is there in its full size.
func whole(name string, size int64) bool {
	info, err := os.Lstat(name)
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// touch marks a file as used now. An error, such as that the file is another user's, costs only the
// file's place in the order.
func touch(name string) {
	now := time.Now()
	os.Chtimes(name, now, now)
}

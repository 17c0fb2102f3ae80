package rsync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/diskspace"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// KeepBlobs is the agent's side of [PutBlob] and [ListBlobs], to be registered under [BlobHandler].
func KeepBlobs(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
	var a blobArgs
	if err := args.Decode(&a); err != nil {
		return err
	}
	if a.Version != version {
		return fmt.Errorf("keep files: controller speaks version %d, this agent %d", a.Version, version)
	}
	if a.Put == nil {
		return ch.Send(ctx, blobAnswer{Digests: listBlobs(blobDirs())})
	}
	if err := a.Put.check(); err != nil {
		return err
	}
	s, err := openBlobsFor(blobDirs(), *a.Put)
	if err != nil {
		return fmt.Errorf("keep files: %w", err)
	}
	defer s.root.Close()
	return s.put(ctx, ch, *a.Put, a.Check)
}

// check refuses what could be no file's name.
func (b Blob) check() error {
	digits, err := hex.DecodeString(b.Digest)
	if err != nil || len(digits) != sha256.Size || strings.ToLower(b.Digest) != b.Digest {
		return fmt.Errorf("digest %q: want %d hexadecimal digits in lower case", clip(b.Digest), hex.EncodedLen(sha256.Size))
	}
	if checkPath(b.Name) != nil || strings.ContainsAny(b.Name, `/\`) {
		return fmt.Errorf("%w: %q", errBadPath, clip(b.Name))
	}
	if b.Size < 0 {
		return fmt.Errorf("size %d of %q", b.Size, b.Name)
	}
	return nil
}

// blobs is a store of files by their content: DIGEST/NAME, and in tmp what is on its way, with a
// lock for each.
type blobs struct {
	dir  string
	root *os.Root // of dir
}

const blobTemp = "tmp"

// blobDirs are where blobs may be, best first.
func blobDirs() []string {
	var dirs []string
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "xdist", "blobs"))
	}
	private := fmt.Sprintf("xdist-%d", os.Getuid())
	if filepath.Separator == '/' {
		dirs = append(dirs, path.Join("/var/tmp", private, "blobs"))
	}
	return append(dirs, filepath.Join(os.TempDir(), private, "blobs"))
}

// openBlobs opens the store in the first directory that can be written and executed from. The error
// tells what is wrong with each.
func openBlobs(dirs []string) (*blobs, error) {
	var errs []error
	for _, dir := range dirs {
		err := prepareBlobs(dir)
		if err == nil {
			root, err := os.OpenRoot(dir)
			return &blobs{dir, root}, err
		}
		errs = append(errs, fmt.Errorf("%s: %w", dir, err))
	}
	return nil, fmt.Errorf("no directory for executables: %w", errors.Join(errs...))
}

// spareRoom is what has to stay free, in bytes, where a blob is put.
const spareRoom = 1 << 20

// openBlobsFor opens the store that has a blob, or else the first one with room for it. Without any
// it is the first one of all, which will tell what is wrong.
func openBlobsFor(dirs []string, b Blob) (*blobs, error) {
	first, err := openBlobs(dirs)
	if err != nil || first.suits(b) {
		return first, err
	}
	for _, dir := range dirs {
		if _, err := os.Lstat(dir); dir == first.dir || err != nil && !hasRoom(dir, b) {
			continue // it is not made in vain
		}
		s, err := openBlobs([]string{dir})
		if err != nil {
			continue // it cannot be used
		}
		if s.suits(b) {
			first.root.Close()
			return s, nil
		}
		s.root.Close()
	}
	return first, nil
}

// suits reports whether a store has a blob, or room for it as far as can be told.
func (s *blobs) suits(b Blob) bool {
	return s.find(b) != "" || hasRoom(s.dir, b)
}

// hasRoom reports whether there is room for a blob in a directory, which need not be there yet, as
// far as can be told.
func hasRoom(dir string, b Blob) bool {
	room, err := diskspace.Free(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		room, err = diskspace.Free(dir)
	}
	return err != nil || room >= b.Size+spareRoom
}

var errNoExec = errors.New("nothing may be executed there (noexec)")

// prepareBlobs makes a directory that nobody else may write to. A directory for everybody's
// temporary files has others' things too, under names that they can foresee. So each directory is
// looked at before anything is made in it.
func prepareBlobs(dir string) error {
	home := filepath.Dir(dir)
	if err := os.MkdirAll(filepath.Dir(home), 0o700); err != nil {
		return err
	}
	for _, d := range []string{home, dir, filepath.Join(dir, blobTemp)} {
		_, err := os.Lstat(d)
		if errors.Is(err, fs.ErrNotExist) {
			err = os.Mkdir(d, 0o700)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if !isOurDir(d) {
			return fmt.Errorf("%s is no directory, or belongs to others, or they may write to it", d)
		}
	}
	if diskspace.NoExec(dir) {
		return errNoExec
	}
	probe, err := os.CreateTemp(filepath.Join(dir, blobTemp), "probe")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// isOurDir reports whether there is a directory that nobody else may write to, and no link to one.
func isOurDir(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && info.IsDir() && ownedByUs(info)
}

// find returns the absolute path of a blob, and notes that it was used. It returns "" when it is
// not there.
func (s *blobs) find(b Blob) string {
	name := b.Digest + "/" + b.Name
	if !s.complete(name, b.Size) && !s.alias(b, name) {
		return ""
	}
	now := time.Now()
	s.root.Chtimes(b.Digest, now, now) // a miss only makes it be cleaned earlier
	return filepath.Join(s.dir, b.Digest, b.Name)
}

// complete reports whether a file is there in its full size: a loss of power may leave less.
func (s *blobs) complete(name string, size int64) bool {
	info, err := s.root.Lstat(name)
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// alias gives a blob that is there under another name this name too.
func (s *blobs) alias(b Blob, name string) bool {
	d, err := s.root.OpenRoot(b.Digest)
	if err != nil {
		return false
	}
	defer d.Close()
	names, err := readNames(d)
	if err != nil {
		return false
	}
	for _, other := range names {
		if other != b.Name && s.complete(b.Digest+"/"+other, b.Size) && d.Link(other, b.Name) == nil {
			return true
		}
	}
	return false
}

// put receives a blob, unless it is there.
func (s *blobs) put(ctx context.Context, ch *gateway.Channel, b Blob, check bool) error {
	if p := s.find(b); p != "" && !s.doubts(b, check) {
		return ch.Send(ctx, blobAnswer{Paths: []string{p}})
	}
	held, err := lock(ctx, filepath.Join(s.dir, blobTemp, b.Digest+".lock"), 0)
	if err != nil {
		return err
	}
	defer held.Close()
	p := s.find(b) // who had the lock before may have put it
	if p == "" || s.doubts(b, check) && !s.right(b) {
		if err := s.receive(ctx, ch, b); err != nil {
			if diskspace.IsFull(err) {
				err = fmt.Errorf("the disk is full: %w", err)
			}
			return fmt.Errorf("receive %s in %s: %w", b.Name, s.dir, err)
		}
		p = filepath.Join(s.dir, b.Digest, b.Name)
	}
	return ch.Send(ctx, blobAnswer{Paths: []string{p}})
}

// checkEvery is how often the content of a blob is compared with its digest: a loss of power may
// leave a file of the right size and the wrong content.
const checkEvery = 24 * time.Hour

// doubts reports whether the content of a blob that is there has to be looked at. Its time is that
// of the last look.
func (s *blobs) doubts(b Blob, check bool) bool {
	info, err := s.root.Lstat(b.Digest + "/" + b.Name)
	return check || err == nil && time.Since(info.ModTime()) >= checkEvery
}

// right reports whether the content of a blob that is there is that of its digest. Other names of
// one that is wrong are removed: it gets its own when it is received again.
func (s *blobs) right(b Blob) bool {
	name := b.Digest + "/" + b.Name
	f, err := ownfile.OpenIn(s.root, name)
	if err != nil {
		return false
	}
	defer f.Close()
	hash := sha256.New()
	io.Copy(hash, f) // what cannot be read differs
	if hex.EncodeToString(hash.Sum(nil)) == b.Digest {
		now := time.Now()
		s.root.Chtimes(name, now, now) // a miss only makes it be looked at again
		return true
	}
	if d, err := s.root.OpenRoot(b.Digest); err == nil {
		defer d.Close()
		names, _ := readNames(d)
		for _, other := range names {
			if other != b.Name {
				d.Remove(other) // one that runs on Windows stays
			}
		}
	}
	return false
}

// receive gets a blob and gives it its name once it is complete and right.
func (s *blobs) receive(ctx context.Context, ch *gateway.Channel, b Blob) (err error) {
	temp := blobTemp + "/" + b.Digest + tempSuffix
	f, err := s.root.OpenFile(temp, os.O_CREATE|os.O_RDWR, 0o700)
	if err != nil {
		return err
	}
	hash := sha256.New()
	have, err := io.Copy(hash, io.LimitReader(f, b.Size))
	if err == nil {
		err = ch.Send(ctx, blobAnswer{Offset: have})
	}
	if err == nil {
		c := &catcher{ch: line{Channel: ch}, codec: newCodec()}
		defer c.codec.close()
		_, err = io.Copy(io.MultiWriter(f, hash), &packets{ctx: ctx, c: c, room: b.Size - have})
	}
	if e := CloseExecutable(f); err == nil {
		err = e
	}
	if err != nil {
		if diskspace.IsFull(err) {
			s.root.Remove(temp) // makes room; the first error says what is wrong
		}
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != b.Digest {
		s.root.Remove(temp) // the first error says what is wrong
		return fmt.Errorf("content has digest %s instead of %s", got, b.Digest)
	}
	return s.install(temp, b)
}

// CloseExecutable closes a file that is to be executed. A child process that is just being started
// has it open for writing until it is another program, and nothing that is open for writing can be
// executed.
func CloseExecutable(f *os.File) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return f.Close()
}

func (s *blobs) install(temp string, b Blob) error {
	if err := s.root.Chmod(temp, 0o700); err != nil {
		return err
	}
	if err := s.root.Mkdir(b.Digest, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.root.Rename(temp, b.Digest+"/"+b.Name)
}

// maxListed is how many blobs ListBlobs tells of, at most: what many runs leave, in a quarter of a
// mebibyte.
const maxListed = 8192

// listBlobs is ListBlobs. A blob that is taken away meanwhile is not listed.
func listBlobs(dirs []string) []byte {
	type kept struct {
		digest []byte
		used   time.Time
	}
	var list []kept
	for _, dir := range dirs {
		if !isOurDir(filepath.Dir(dir)) || !isOurDir(dir) {
			continue // it is not there, or not used
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // it is not used either
		}
		for _, e := range entries {
			digest, err := hex.DecodeString(e.Name())
			if err != nil || len(digest) != sha256.Size || strings.ToLower(e.Name()) != e.Name() {
				continue
			}
			if info, err := e.Info(); err == nil && info.IsDir() {
				list = append(list, kept{digest, info.ModTime()})
			}
		}
	}
	slices.SortFunc(list, func(a, b kept) int { return b.used.Compare(a.used) })
	var out []byte
	for _, k := range list[:min(maxListed, len(list))] {
		out = append(out, k.digest...)
	}
	return out
}

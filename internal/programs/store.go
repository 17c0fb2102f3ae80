package programs

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/internal/diskspace"
	"github.com/xdist-go/xdist/internal/lockfile"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// Program is what an executable is known by.
type Program struct {
	Digest string // SHA-256 of the file, 64 hexadecimal digits in lower case
	Size   int64  // in bytes
}

// Store keeps programs. New makes one. Its methods may be called concurrently, and several stores
// may have the same places.
type Store struct {
	places []string // best first
	limit  int64    // bytes

	mu     sync.Mutex  // guards the fields below
	coming int64       // bytes that are being received
	self   fs.FileInfo // of this executable when its digest was made; nil when it was not
	digest string      // of this executable
}

// New returns the store of this user's places, which keeps at most so many bytes besides what runs.
// It touches no file.
func New(limit int64) *Store { return &Store{places: places(), limit: limit} }

// places are the directories in which programs may be, best first.
func places() []string {
	if runtime.GOOS == "windows" {
		return []string{filepath.Join(os.Getenv("LOCALAPPDATA"), "xdist")}
	}
	var dirs []string
	if cache := os.Getenv("XDG_CACHE_HOME"); cache != "" {
		dirs = append(dirs, filepath.Join(cache, "xdist"))
	} else if home := os.Getenv("HOME"); home != "" {
		dirs = append(dirs, filepath.Join(home, ".cache", "xdist"))
	}
	if run := os.Getenv("XDG_RUNTIME_DIR"); run != "" {
		dirs = append(dirs, filepath.Join(run, "xdist"))
	}
	for _, dir := range []string{"/var/tmp", "/tmp", "/dev/shm"} {
		dirs = append(dirs, fmt.Sprintf("%s/xdist-%d", dir, os.Getuid()))
	}
	return dirs
}

const (
	// useLock is the lock beside a program that those who run it hold shares in.
	useLock = ".use.lock"
	// tempPrefix begins the names of what is being received. The shell removes what is so called
	// and an hour old.
	tempPrefix = ".take-"
	lockSuffix = ".lock"
	// checkEvery is how often the content of a program is compared with its digest: a loss of power
	// may leave a file of the right size and the wrong content.
	checkEvery = 24 * time.Hour
	// spareRoom is what has to stay free, in bytes, where a program is put.
	spareRoom = 1 << 20
)

// Check refuses what cannot be a program that the store would take.
func (s *Store) Check(p Program) error {
	digits, err := hex.DecodeString(p.Digest)
	switch {
	case err != nil || len(digits) != sha256.Size || strings.ToLower(p.Digest) != p.Digest:
		return fmt.Errorf("the digest of a program is %d hexadecimal digits in lower case", hex.EncodedLen(sha256.Size))
	case p.Size < 1 || p.Size > s.limit:
		return fmt.Errorf("a program of %d bytes is not taken: the limit is %d", p.Size, s.limit)
	}
	return nil
}

// Use returns the path of a program that is there, or is this executable, or "". It stays there
// until done is called. The program has passed Check.
func (s *Store) Use(p Program) (path string, done func()) {
	if path := s.ifSelf(p); path != "" {
		return path, func() {}
	}
	for _, place := range s.places {
		if path, done := use(place, p); path != "" {
			return path, done
		}
	}
	return "", nil
}

// ifSelf returns the path of this executable, if that is the program.
func (s *Store) ifSelf(p Program) string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != p.Size {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.self == nil || !os.SameFile(s.self, info) || !s.self.ModTime().Equal(info.ModTime()) {
		if s.digest, err = digestOf(path); err != nil {
			s.self = nil
			return ""
		}
		s.self = info
	}
	if s.digest != p.Digest {
		return ""
	}
	return path
}

func digestOf(file string) (string, error) {
	f, err := ownfile.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// fileOf is the path of a program in a place.
func fileOf(place string, p Program) string {
	name := "xdist"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(place, "agents", p.Digest, name)
}

// use is Use in one place.
func use(place string, p Program) (string, func()) {
	file := fileOf(place, p)
	home := filepath.Dir(file)
	if _, err := os.Lstat(home); err != nil || !isMine(place) {
		return "", nil
	}
	lock := lockfile.Private(filepath.Join(home, useLock))
	if err := lockfile.Share(lock); errors.Is(err, lockfile.ErrLocked) {
		return "", nil // it is about to be removed
	} // else it is used without a lock, where there can be none
	if !intact(file, p) {
		lock.Close()
		return "", nil
	}
	now := time.Now()
	for _, mark := range []string{home, filepath.Join(home, usedMark)} { // the shell looks at the second
		os.Chtimes(mark, now, now) // a miss only makes it be removed earlier
	}
	return file, func() { lock.Close() }
}

// intact reports whether a program is there, and removes one whose content is wrong.
func intact(file string, p Program) bool {
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() != p.Size {
		return false
	}
	if age := time.Since(info.ModTime()); age < checkEvery {
		return true
	}
	if digest, err := digestOf(file); err != nil || digest != p.Digest {
		os.Remove(file) // one that runs on Windows stays
		return false
	}
	now := time.Now()
	os.Chtimes(file, now, now) // a miss only makes it be looked at again
	return true
}

// Put takes a program that receive writes, whole, and returns what Use does. Of several who put the
// same one each writes a file of its own, and the last is kept. What there is too much of is
// removed then. The program has passed Check. Errors: receive's; that the content is not the
// program; that there is no room; what is wrong with each place.
func (s *Store) Put(p Program, receive func(io.Writer) error) (path string, done func(), err error) {
	if err := s.reserve(p.Size); err != nil {
		return "", nil, err
	}
	defer s.reserve(-p.Size)
	in, err := s.begin(p)
	if err != nil {
		return "", nil, err
	}
	err = receive(in)
	if err = in.end(err); err != nil {
		if diskspace.IsFull(err) {
			err = fmt.Errorf("the disk is full: %w", err)
		}
		return "", nil, fmt.Errorf("take a program of %d bytes into %s: %w", p.Size, in.place, err)
	}
	path, done = use(in.place, p)
	if path == "" {
		return "", nil, fmt.Errorf("take a program into %s: it was removed at once", in.place)
	}
	s.prune()
	return path, done, nil
}

// reserve counts bytes that are to come, which must not exceed the limit either.
func (s *Store) reserve(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.coming+n > s.limit {
		return fmt.Errorf("programs of %d bytes are being taken already, and the limit is %d: try again", s.coming, s.limit)
	}
	s.coming += n
	return nil
}

// begin begins to receive a program in the first place that can have it.
func (s *Store) begin(p Program) (*incoming, error) {
	var errs []error
	for _, place := range s.places {
		in, err := beginIn(place, p)
		if err == nil {
			return in, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", place, err))
	}
	return nil, fmt.Errorf("no place for a program of %d bytes: %w", p.Size, errors.Join(errs...))
}

var (
	errNotMine = errors.New("it is no directory, or belongs to somebody else, or is open to others")
	errNoExec  = errors.New("programs cannot be started from it (noexec)")
)

func beginIn(place string, p Program) (*incoming, error) {
	agents := filepath.Join(place, "agents")
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return nil, err
	}
	for _, dir := range []string{place, agents} { // each is looked at before anything is made in it
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if !isMine(dir) {
			return nil, errNotMine
		}
	}
	sweep(agents)
	if diskspace.NoExec(agents) {
		return nil, errNoExec
	}
	if room, err := diskspace.Free(agents); err == nil && room < p.Size+spareRoom {
		return nil, fmt.Errorf("%d bytes are free", room)
	}
	for {
		name := filepath.Join(agents, tempPrefix+rand.Text())
		lock := lockfile.Private(name + lockSuffix)
		err := lockfile.Try(lock)
		if errors.Is(err, lockfile.ErrLocked) { // somebody who sweeps was quicker, which does not go on
			continue
		}
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return nil, err
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			lockfile.Remove(lock) // the first error says what is wrong
			return nil, err
		}
		return &incoming{place: place, program: p, file: f, lock: lock, sum: sha256.New()}, nil
	}
}

// incoming is a program that is being received.
type incoming struct {
	place   string
	program Program
	file    *os.File
	lock    *flock.Flock // tells a file that is written from one that was left
	sum     hash.Hash
	got     int64
}

// errWrong says that what came is not the program that was announced.
var errWrong = errors.New("it is not the program that was announced")

// Write implements io.Writer.
func (in *incoming) Write(b []byte) (int, error) {
	if in.got += int64(len(b)); in.got > in.program.Size {
		return 0, fmt.Errorf("%w: it goes on after %d bytes", errWrong, in.program.Size)
	}
	in.sum.Write(b) // returns no error
	return in.file.Write(b)
}

// end gives the program its name if it has come whole, and removes it else.
func (in *incoming) end(err error) error {
	if err == nil {
		err = in.judge()
	}
	if err == nil {
		err = in.file.Sync()
	}
	if closeErr := closeExecutable(in.file); err == nil {
		err = closeErr
	}
	if err == nil {
		err = in.install()
	}
	if err != nil {
		os.Remove(in.file.Name()) // the first error says what is wrong
	}
	lockfile.Remove(in.lock) // what is left of it is swept up later
	return err
}

func (in *incoming) judge() error {
	if in.got != in.program.Size {
		return fmt.Errorf("%w: it has %d bytes instead of %d", errWrong, in.got, in.program.Size)
	}
	if got := hex.EncodeToString(in.sum.Sum(nil)); got != in.program.Digest {
		return fmt.Errorf("%w: its digest is %s instead of %s", errWrong, got, in.program.Digest)
	}
	return nil
}

func (in *incoming) install() error {
	file := fileOf(in.place, in.program)
	if err := os.Chmod(in.file.Name(), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	err := os.Rename(in.file.Name(), file)
	if info, statErr := os.Lstat(file); err != nil && statErr == nil && info.Size() == in.program.Size {
		return os.Remove(in.file.Name()) // it runs, on Windows: another has brought it meanwhile
	}
	return err
}

// closeExecutable closes a file that is to be executed. A child process that is just being started
// has it open for writing until it is another program, and nothing that is open for writing can be
// executed.
func closeExecutable(f *os.File) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return f.Close()
}

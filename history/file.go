package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/xdist-go/xdist/internal/ownfile"
)

const (
	// readWait is how long Open waits for a run that is writing: a run should not begin late for
	// its history.
	readWait = time.Second
	// writeWait is how long Record waits: many runs may end at the same time, and each takes some
	// hundredths of a second.
	writeWait = 10 * time.Second
	// maxFile bounds the file in bytes. What would make it larger is not recorded.
	maxFile = 512 << 20
	// forgetAfter is how long something is kept that is not seen any more.
	forgetAfter = 180 * 24 * time.Hour
	// fileFormat is in the file's name, so that versions that write differently do not meet.
	fileFormat = 2
)

// The buckets of a file: values by "package\x00platform", by host, by run (see runs.go).
var (
	packagesBucket = []byte("packages")
	hostsBucket    = []byte("hosts")
	runsBucket     = []byte("runs")
	detailsBucket  = []byte("details")
)

// DamagedError says that a file could not be read and was set aside: what it knew is not known any
// more.
type DamagedError struct {
	File  string
	Aside string // its new name, or "" when it could not be renamed
	Err   error  // what is wrong with it
}

func (e *DamagedError) Error() string {
	if e.Aside == "" {
		return fmt.Sprintf("read history %s: it is damaged and cannot be set aside: %v", e.File, e.Err)
	}
	return fmt.Sprintf("read history %s: it is damaged and is now %s: %v", e.File, filepath.Base(e.Aside), e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// damage is an error in what a file holds, unlike one in getting at it.
type damage struct{ err error }

func (d damage) Error() string { return d.err.Error() }

// FileName returns where Open and Record keep what they know of a module.
func FileName(dir, module string) string {
	safe := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '-'
	}
	const readable = 80 // bytes of the name that are for people
	name := strings.Map(safe, module)
	sum := sha256.Sum256([]byte(module))
	return filepath.Join(dir, fmt.Sprintf("%s-%s.%d.db", name[:min(len(name), readable)], hex.EncodeToString(sum[:6]), fileFormat))
}

// Open reads what is known of a module from its file in dir. The Book is never nil: with an error
// it is empty and all the same good for a run, which should tell the user of it. A file that is not
// there is an empty Book and no error; a *DamagedError says that there was one. It waits for at
// most a second for a run that is writing.
func Open(dir, module string) (*Book, error) {
	b := &Book{dir: dir, module: module}
	file := FileName(dir, module)
	if fi, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) || err == nil && fi.Size() == 0 {
		return b, nil // the writer that makes it has not come further
	}
	var read Book
	err := access(file, true, func(tx *bbolt.Tx) error { return read.load(tx) })
	if err != nil {
		return b, err
	}
	b.undecoded, b.platforms, b.hosts, b.runs = read.undecoded, read.platforms, read.hosts, read.runs
	return b, nil
}

// Record adds a run to the file of a module in dir, which is made when there is none. It waits for
// others for at most ten seconds. With a *DamagedError the run is in the file, and nothing else.
func Record(dir, module string, run Run) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the history: %w", err)
	}
	file := FileName(dir, module)
	write := func(tx *bbolt.Tx) error { return store(tx, run) }
	err := access(file, false, write)
	if _, damaged := errors.AsType[*DamagedError](err); damaged {
		if again := access(file, false, write); again != nil {
			return again
		}
	}
	return err
}

// access opens a file, runs one transaction on it and closes it. A file with something wrong in it
// is set aside.
func access(file string, readOnly bool, do func(*bbolt.Tx) error) error {
	var opened os.FileInfo
	err := guarded(func() error {
		if readOnly {
			return transact(file, bbolt.Options{Timeout: readWait, ReadOnly: true}, &opened, do)
		}
		if fi, err := os.Stat(file); err == nil && fi.Size() > 0 {
			// bbolt's own writing begins before there is a transaction to check the file in.
			if err := transact(file, bbolt.Options{Timeout: writeWait, ReadOnly: true}, &opened, func(*bbolt.Tx) error { return nil }); err != nil {
				return err
			}
		}
		return transact(file, bbolt.Options{Timeout: writeWait, MaxSize: maxFile, FreelistType: bbolt.FreelistMapType}, &opened, do)
	})
	if _, ok := errors.AsType[damage](err); ok {
		return setAside(file, opened, err)
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("open history %s: other runs are writing it", file)
	}
	if err != nil {
		return fmt.Errorf("open history %s: %w", file, err)
	}
	return nil
}

// guarded turns a panic of bbolt, which trusts what it reads, and a fault in the mapped file into
// damage. The file may stay open then.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damage{fmt.Errorf("%v", r)}
		}
	}()
	return do()
}

// transact runs one transaction on a file. opened becomes the file that it was.
func transact(file string, options bbolt.Options, opened *os.FileInfo, do func(*bbolt.Tx) error) error {
	options.OpenFile = func(name string, flag int, perm os.FileMode) (*os.File, error) {
		f, err := ownfile.OpenFile(name, flag, perm)
		if err == nil {
			*opened, err = f.Stat()
		}
		return f, err
	}
	db, err := bbolt.Open(file, 0o600, &options)
	switch {
	case err == nil:
	case fromSystem(err), errors.Is(err, bolterrors.ErrTimeout):
		return err
	default:
		return damage{err}
	}
	if options.ReadOnly {
		err = db.View(func(tx *bbolt.Tx) error {
			if err := whole(tx); err != nil {
				return err
			}
			return do(tx)
		})
	} else {
		err = db.Update(do)
	}
	return errors.Join(err, db.Close())
}

// fromSystem reports whether an error says nothing of what is in a file.
func fromSystem(err error) bool {
	_, isPath := errors.AsType[*fs.PathError](err)
	_, isCall := errors.AsType[*os.SyscallError](err)
	_, isNumber := errors.AsType[syscall.Errno](err)
	return isPath || isCall || isNumber
}

// whole reports a file that is shorter than it says.
func whole(tx *bbolt.Tx) error {
	fi, err := os.Stat(tx.DB().Path())
	if err == nil && fi.Size() < tx.Size() {
		return damage{fmt.Errorf("it has %d bytes of %d", fi.Size(), tx.Size())}
	}
	return err
}

// setAside renames the file that was opened, unless another process has put a new one in its place.
func setAside(file string, opened os.FileInfo, cause error) error {
	damaged := &DamagedError{File: file, Err: cause}
	if now, err := os.Stat(file); err != nil || opened != nil && !os.SameFile(now, opened) {
		damaged.Aside = file
		return damaged
	}
	aside := strings.TrimSuffix(file, ".db") + ".damaged"
	if err := os.Rename(file, aside); err != nil {
		damaged.Err = errors.Join(cause, err)
		return damaged
	}
	damaged.Aside = aside
	return damaged
}

// load reads all but the details of runs. Values are decoded when they are asked for.
func (b *Book) load(tx *bbolt.Tx) error {
	b.undecoded = make(map[place][]byte)
	err := each(tx, packagesBucket, func(key, value []byte) error {
		pkg, platform, _ := strings.Cut(string(key), "\x00")
		at := place{pkg, platform}
		b.undecoded[at] = bytes.Clone(value)
		b.platform(at)
		return nil
	})
	if err != nil {
		return err
	}
	err = each(tx, hostsBucket, func(key, value []byte) error { return open(value, b.madeHost(string(key))) })
	if err != nil {
		return err
	}
	return b.loadRuns(tx)
}

// each calls do with every value of a bucket, whose checksum is right.
func each(tx *bbolt.Tx, bucket []byte, do func(key, value []byte) error) error {
	in := tx.Bucket(bucket)
	if in == nil {
		return nil
	}
	return in.ForEach(func(key, value []byte) error {
		_, err := seenAt(value)
		if err == nil {
			err = do(key, value)
		}
		if err != nil {
			return damage{fmt.Errorf("%s %q: %w", bucket, key, err)}
		}
		return nil
	})
}

// store adds a run in a transaction that writes.
func store(tx *bbolt.Tx, run Run) error {
	packages, hosts := make(map[place]*packageRecord), make(map[string]*hostRecord)
	var errs []error
	s := shelf{
		pkg: func(at place) *packageRecord {
			if packages[at] == nil {
				packages[at] = &packageRecord{}
				errs = append(errs, fetch(tx, packagesBucket, at.key(), packages[at]))
			}
			return packages[at]
		},
		host: func(name string) *hostRecord {
			if hosts[name] == nil {
				hosts[name] = &hostRecord{}
				errs = append(errs, fetch(tx, hostsBucket, []byte(name), hosts[name]))
			}
			return hosts[name]
		},
	}
	s.learn(run)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for at, p := range packages {
		if err := keep(tx, packagesBucket, at.key(), p, p.LastSeen); err != nil {
			return err
		}
	}
	for name, h := range hosts {
		if err := keep(tx, hostsBucket, []byte(name), h, h.LastSeen); err != nil {
			return err
		}
	}
	if err := storeRun(tx, run); err != nil {
		return err
	}
	return errors.Join(forget(tx, packagesBucket, run.Time), forget(tx, hostsBucket, run.Time))
}

func (at place) key() []byte { return []byte(at.pkg + "\x00" + at.platform) }

// fetch decodes the value of a key, if there is one, into v.
func fetch(tx *bbolt.Tx, bucket, key []byte, v any) error {
	in := tx.Bucket(bucket)
	if in == nil {
		return nil
	}
	value := in.Get(key)
	if value == nil {
		return nil
	}
	if err := open(value, v); err != nil {
		return damage{fmt.Errorf("%s %q: %w", bucket, key, err)}
	}
	return nil
}

// keep puts v into its place in a bucket.
func keep(tx *bbolt.Tx, bucket, key []byte, v any, seen int64) error {
	in, err := tx.CreateBucketIfNotExists(bucket)
	if err != nil {
		return err
	}
	value, err := seal(v, seen)
	if err != nil {
		return err
	}
	return in.Put(key, value)
}

// forget deletes what was not seen for long.
func forget(tx *bbolt.Tx, bucket []byte, now time.Time) error {
	var old [][]byte
	err := each(tx, bucket, func(key, value []byte) error {
		if seen, err := seenAt(value); err == nil && now.Unix()-seen > int64(forgetAfter/time.Second) {
			old = append(old, bytes.Clone(key))
		}
		return nil
	})
	for _, key := range old {
		err = errors.Join(err, tx.Bucket(bucket).Delete(key))
	}
	return err
}

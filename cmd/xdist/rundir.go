package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/scheduler/hosts"
)

// runFiles is what a run has on disk: a private directory, gone when it ends, and the store of test
// binaries.
type runFiles struct {
	id         string // XDIST_TESTRUNUID
	dir        string // private, goes with the claim
	temp       string // holds a store for this run alone, or ""
	executable string
	store      *store.Store
	claim      *store.Run
	warnings   []string
}

// openRun makes the run's directory and opens the store. A store that cannot be used costs time and
// no run: the binaries are kept in the run's directory then.
func openRun(c *cli.Context) (*runFiles, error) {
	r := &runFiles{id: c.String("testrunuid")}
	if r.id == "" {
		r.id = randomID()
	}
	var err error
	if r.executable, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find the xdist executable: %w", err)
	}
	dir, size, err := cachePlace(c)
	if _, refused := errors.AsType[cacheRefused](err); refused {
		return nil, err
	}
	if err == nil {
		err = r.openKept(dir, size)
	}
	if err != nil {
		r.warnings = append(r.warnings, fmt.Sprintf("%v; test binaries are not kept for the next run", err))
		if r.temp, err = os.MkdirTemp("", store.TempPrefix); err == nil {
			err = r.open(r.temp, size)
		}
	}
	if err != nil {
		r.remove()
		return nil, err
	}
	return r, nil
}

// roomToBuild and filesToBuild are what has to be free on the disk of a store, in bytes and files:
// the go command links there too, and a link that runs out of space looks like a package that does
// not build.
const (
	roomToBuild  = 256 << 20
	filesToBuild = 4096
)

// openKept opens the store that is kept between runs.
func (r *runFiles) openKept(dir string, size int64) error {
	if err := r.open(dir, size); err != nil {
		return err
	}
	room, err := r.store.Free()
	if err == nil && room < roomToBuild {
		err = fmt.Errorf("the disk of %s has %s left and %s are wanted: free some, or choose another place with --cache-dir", dir, mebibytes(room), mebibytes(roomToBuild))
	}
	if err == nil {
		err = enoughFiles(r.store)
	}
	if err != nil {
		r.complain(r.claim.Close())
		r.claim = nil
	}
	return err
}

// enoughFiles is an error when a build would run out of inodes.
func enoughFiles(s *store.Store) error {
	files, err := s.FreeFiles()
	if err == nil && files >= 0 && files < filesToBuild {
		err = fmt.Errorf("the disk of %s has room for %d files (inodes) and %d are wanted: remove some, or choose another place with --cache-dir", s.Dir(), files, filesToBuild)
	}
	return err
}

func (r *runFiles) open(dir string, size int64) (err error) {
	if r.store, err = store.Open(dir, size, nil); err != nil {
		return err
	}
	if r.claim, err = r.store.Begin(); err != nil {
		return err
	}
	r.dir, err = r.claim.TempDir()
	return err
}

// remove deletes the run's directory, and what agents of this machine that were killed have left,
// and makes the store fit its size.
func (r *runFiles) remove() {
	hosts.SweepWorkDirs(context.Background())
	if r.claim != nil {
		r.complain(r.claim.Close())
		_, err := r.store.Prune(context.Background(), 0)
		r.complain(err)
	}
	if r.temp != "" {
		r.complain(os.RemoveAll(r.temp))
	}
}

func (r *runFiles) complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "xdist: clean up:", err)
	}
}

func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// cacheRefused says that the user has named a directory that others may write to.
type cacheRefused struct{ error }

// cachePlace is the directory and the size in bytes of the store. It makes the directory for this
// user alone, and refuses one that another user may write to: what is in it is executed.
func cachePlace(c *cli.Context) (dir string, size int64, err error) {
	if size, err = parseSize("cache-size", c.String("cache-size")); err != nil {
		return "", 0, err
	}
	if dir = c.String("cache-dir"); dir != "" {
		dir, err = filepath.Abs(dir)
	} else if dir, err = os.UserCacheDir(); err == nil {
		dir = filepath.Join(dir, "xdist")
	}
	if err != nil {
		return "", size, fmt.Errorf("find the cache directory: %w", err)
	}
	if err := ownfile.MakeDir(dir); errors.Is(err, ownfile.ErrShared) {
		err = fmt.Errorf("use the cache directory %s (--cache-dir): %w", dir, err)
		if c.String("cache-dir") != "" { // XDIST_CACHE may be set and empty
			err = cacheRefused{err}
		}
		return "", size, err
	}
	return dir, size, nil // what else is wrong with it is told by who opens files there
}

// parseSize reads the value of a flag: a number of bytes with an optional suffix K, M, G or T of
// powers of 1024.
func parseSize(flag, text string) (int64, error) {
	digits, shift := text, 0
	if i := strings.IndexAny(text, "KMGT"); i >= 0 && i == len(text)-1 {
		digits, shift = text[:i], 10*(1+strings.IndexByte("KMGT", text[i]))
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > (1<<62)>>shift {
		return 0, fmt.Errorf("--%s %q: want a number of bytes such as 500M or 5G", flag, text)
	}
	return n << shift, nil
}

package hosts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/lockfile"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// Clean removes what xdist has left on the host of a gateway, or tells what that is. The agent of
// gw may be gone after it: the gateway is of no other use then but to be ended.
func Clean(ctx context.Context, gw *gateway.Gateway, o wire.CleanOptions) (wire.Leftovers, error) {
	var l wire.Leftovers
	ch, err := gw.RemoteExec(ctx, wire.CleanHandler, o)
	if err == nil {
		defer ch.Close()
		err = ch.Receive(ctx, &l)
	}
	if err != nil {
		return l, fmt.Errorf("clean the host of gateway %s: %w", gw.ID(), err)
	}
	return l, nil
}

// CleanHost is the agent's side of Clean.
func CleanHost(ctx context.Context, ch *gateway.Channel, item gateway.Item) error {
	var o wire.CleanOptions
	if err := item.Decode(&o); err != nil {
		return fmt.Errorf("read the arguments: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b := broom{self: self, place: o.Place, homes: cacheHomes()}
	defer b.unlock()
	l := wire.Leftovers{Found: b.survey(time.Now()), Busy: b.busy()}
	if o.Remove && (o.Force || len(l.Busy) == 0) {
		if runtime.GOOS == "windows" {
			b.unlock() // a file that is open could not be removed
		}
		for i := range l.Found {
			f := &l.Found[i]
			remove := removeTree
			if f.Kind == kindWork {
				remove = removeWorkDir
			}
			if err := remove(f.Path); err != nil {
				f.Problem = err.Error()
			}
		}
		b.tidy()
	}
	return ch.Send(ctx, l)
}

// broom looks for what xdist has left. It knows every place that an agent, a binary or a tree may
// have been put to, and every form that these have there: nothing else is touched, and nothing of
// other users.
type broom struct {
	self  string   // the executable that runs
	place string   // of mirrors
	homes []string // directories that hold agents and blobs
	held  []*flock.Flock
}

// useLock is the file, beside the directory of blobs, that workers hold a share in while they run.
const useLock = "use.lock"

var (
	agentName  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	mirrorName = regexp.MustCompile(`^xdist-([0-9a-f]{20}|[0-9a-f]{16}-[0-9]{1,2})$`) // earlier versions had the latter
	coverName  = regexp.MustCompile(`^xdist-cover-[0-9]+$`)
)

// kindWork is the Leftover.Kind of a work directory.
const kindWork = "work files"

// coverAge is how old cover data must be that no run can be going to read any more.
const coverAge = 24 * time.Hour

// cacheHomes are the directories in which the bootstrap and the store of blobs put things.
func cacheHomes() []string {
	var homes []string
	for _, blobs := range rsync.BlobDirs() {
		homes = append(homes, filepath.Dir(blobs))
	}
	if home, err := os.UserHomeDir(); err == nil {
		homes = append(homes, filepath.Join(home, ".cache", "xdist"))
	}
	for _, v := range []string{"XDG_CACHE_HOME", "XDG_RUNTIME_DIR"} {
		if dir := os.Getenv(v); dir != "" {
			homes = append(homes, filepath.Join(dir, "xdist"))
		}
	}
	if runtime.GOOS != "windows" {
		for _, dir := range []string{"/var/tmp", "/tmp", "/dev/shm"} {
			homes = append(homes, filepath.Join(dir, fmt.Sprintf("xdist-%d", os.Getuid())))
		}
	}
	slices.Sort(homes)
	return slices.Compact(homes)
}

// survey lists what is there.
func (b *broom) survey(now time.Time) []wire.Leftover {
	var found []wire.Leftover
	add := func(kind, dir string, name *regexp.Regexp, age time.Duration) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return // it is not there, or not ours
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			info, err := os.Lstat(path)
			if err == nil && info.IsDir() && name.MatchString(e.Name()) && isOurs(info) && now.Sub(info.ModTime()) >= age {
				found = append(found, wire.Leftover{Path: path, Kind: kind, Bytes: sizeOf(path)})
			}
		}
	}
	add("mirror", b.place, mirrorName, 0)
	add("cover data", os.TempDir(), coverName, coverAge)
	for _, root := range findWorkDirs() { // one that is in use is its worker's
		if lock, dead := lockDeadWorkDir(root, now); dead {
			b.held = append(b.held, lock)
			found = append(found, wire.Leftover{Path: root, Kind: kindWork, Bytes: sizeOf(root)})
		}
	}
	for _, home := range b.homes {
		if isOurDir(home) {
			add("test binaries", home, regexp.MustCompile("^(blobs|"+BuildsDir+")$"), 0)
			add("agent", filepath.Join(home, "agents"), agentName, 0)
		}
	}
	own := filepath.Dir(b.self)
	slices.SortStableFunc(found, func(x, y wire.Leftover) int {
		switch own {
		case x.Path:
			return 1
		case y.Path:
			return -1
		}
		return 0
	})
	return found
}

// busy takes every lock that a run would hold and returns those that were held.
func (b *broom) busy() []string {
	var held []string
	names := mirrorLocks(b.place)
	for _, home := range b.homes {
		if isOurDir(home) {
			names = append(names, filepath.Join(home, useLock))
		}
	}
	for _, name := range names {
		lock := lockfile.Existing(name)
		switch err := lockfile.Try(lock); {
		case errors.Is(err, lockfile.ErrLocked):
			held = append(held, name)
		case err == nil:
			b.held = append(b.held, lock)
		} // else it is not there, or there are no locks
	}
	return held
}

// isOurDir reports whether there is a directory of this user, and no link to one.
func isOurDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir() && isOurs(info)
}

// mirrorLocks are the files that a sync locks, of all mirrors of this user in a directory.
func mirrorLocks(place string) []string {
	var names []string
	mirrors, err := os.ReadDir(place)
	if err != nil {
		return nil
	}
	for _, m := range mirrors {
		dir := filepath.Join(place, m.Name())
		if !mirrorName.MatchString(m.Name()) || !isOurDir(dir) {
			continue
		}
		sides, err := os.ReadDir(dir)
		if err != nil {
			continue // nobody may look into it
		}
		for _, s := range sides {
			if strings.HasSuffix(s.Name(), rsync.SideSuffix) {
				names = append(names, filepath.Join(dir, s.Name(), rsync.LockName))
			}
		}
	}
	return names
}

func (b *broom) unlock() {
	for _, lock := range b.held {
		lock.Close()
	}
	b.held = nil
}

// tidy removes what is empty now.
func (b *broom) tidy() {
	for _, home := range b.homes {
		if !isOurDir(home) {
			continue
		}
		os.Remove(filepath.Join(home, useLock))
		removeFreePorts(filepath.Join(home, PortLocks))
		os.Remove(filepath.Join(home, "agents")) // these fail when something else is in there
		os.Remove(home)
	}
}

// sizeOf is the size in bytes of the files below a directory, as far as it can be seen.
func sizeOf(dir string) int64 {
	var n int64
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// removeTree removes a directory, with directories that tests have made read-only.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if !isOurDir(dir) { // not through a link of somebody else's
		return err
	}
	root, rootErr := os.OpenRoot(dir)
	if rootErr != nil {
		return rootErr
	}
	defer root.Close()
	fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			root.Chmod(path, 0o700) // what stays closed is in the error of RemoveAll
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// Hold says that a run uses this host, until release. Without locks on its file system the host is
// not protected from Clean. The last one to release it removes what was used least recently of the
// binaries and agents there, until they take at most maxBytes; negative is no bound.
func Hold(ctx context.Context, maxBytes int64) (release func(), err error) {
	blobs, err := rsync.BlobDir()
	if err != nil {
		return nil, fmt.Errorf("use this host: %w", err)
	}
	lock := lockfile.New(filepath.Join(filepath.Dir(blobs), useLock))
	if _, err := lock.TryRLockContext(ctx, useLockPause); err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return func() {
		lock.Close()
		if self, err := os.Executable(); err == nil {
			pruneHost(cacheHomes(), self, maxBytes, time.Now())
		}
	}, nil
}

// useLockPause is how often a worker tries to begin on a host that is being cleaned.
const useLockPause = 50 * time.Millisecond

// BuildsDir is the store of builds beside the directory of blobs.
const BuildsDir = "builds"

package hosts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/store"
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
	defer b.close()
	found := b.survey(time.Now())
	l := wire.Leftovers{Busy: b.busy()}
	if o.Remove && (o.Force || len(l.Busy) == 0) {
		if runtime.GOOS == "windows" {
			b.unlock() // a file that is open could not be removed
		}
		for i := range found {
			if err := found[i].remove(); err != nil {
				found[i].Problem = err.Error()
			}
		}
		b.tidy()
	}
	for _, f := range found {
		l.Found = append(l.Found, f.Leftover)
	}
	return ch.Send(ctx, l)
}

// leftover is a wire.Leftover with the directory that it was found in. That stays open, so that
// another one under its name is not taken for it.
type leftover struct {
	wire.Leftover
	in   *os.Root
	name string // in it, with slashes
}

func (l leftover) remove() error {
	if l.Kind == kindWork {
		return removeWorkDirIn(l.in, l.name)
	}
	return removeTreeIn(l.in, l.name)
}

// broom looks for what xdist has left. It knows every place that an agent, a binary or a tree may
// have been put to, and every form that these have there: nothing else is touched, and nothing of
// other users.
type broom struct {
	self  string   // the executable that runs
	place string   // of mirrors
	homes []string // directories that hold agents and blobs
	held  []*flock.Flock
	roots []*os.Root // in which something was found
}

// useLock is the file, beside the directory of blobs, that workers hold a share in while they run.
const useLock = "use.lock"

var (
	agentName  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	mirrorName = regexp.MustCompile(`^xdist-([0-9a-f]{20}|[0-9a-f]{16}-[0-9]{1,2})$`) // earlier versions had the latter
	coverName  = regexp.MustCompile(`^xdist-cover-[0-9]+$`)
	storeName  = regexp.MustCompile(`^` + store.TempPrefix + `[0-9]+$`)
	trialName  = regexp.MustCompile(`^` + trialPrefix + `[0-9]+$`)
)

// kindWork is the Leftover.Kind of a work directory.
const kindWork = "work files"

// tempAge is how old something must be that a run makes for itself alone, so that none can be going
// to use it any more.
const tempAge = 24 * time.Hour

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
func (b *broom) survey(now time.Time) []leftover {
	var found []leftover
	found = append(found, b.leftIn(b.open(os.OpenRoot, b.place), "mirror", ".", mirrorName, now)...)
	temp, old := b.open(os.OpenRoot, os.TempDir()), now.Add(-tempAge)
	found = append(found, b.leftIn(temp, "cover data", ".", coverName, old)...)
	found = append(found, b.leftIn(temp, "store of a run", ".", storeName, old)...)
	found = append(found, b.leftIn(b.open(os.OpenRoot, b.place), "trial", ".", trialName, old)...)
	for _, root := range findWorkDirs() { // one that is in use is its worker's
		if lock, dead := lockDeadWorkDir(root, now); dead {
			b.held = append(b.held, lock)
			if in := b.open(os.OpenRoot, filepath.Dir(root)); in != nil {
				found = append(found, leftover{wire.Leftover{Path: root, Kind: kindWork, Bytes: sizeOf(in, filepath.Base(root))}, in, filepath.Base(root)})
			}
		}
	}
	for _, home := range b.homes {
		in := b.open(openOurs, home)
		found = append(found, b.leftIn(in, "test binaries", ".", regexp.MustCompile("^(blobs|"+BuildsDir+")$"), now)...)
		found = append(found, b.leftIn(in, "agent", "agents", agentName, now)...)
	}
	own := filepath.Dir(b.self)
	slices.SortStableFunc(found, func(x, y leftover) int {
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

// open opens a directory for as long as the broom is used; nil is none.
func (b *broom) open(open func(string) (*os.Root, error), dir string) *os.Root {
	root, err := open(dir)
	if err != nil {
		return nil // it is not there, or not ours
	}
	b.roots = append(b.roots, root)
	return root
}

// leftIn lists the directories of this user with such a name, in a directory of a root, that were
// written to last at a time or before it.
func (b *broom) leftIn(in *os.Root, kind, dir string, name *regexp.Regexp, at time.Time) (found []leftover) {
	for _, info := range oursIn(in, dir) {
		if name.MatchString(info.Name()) && !info.ModTime().After(at) {
			name := path.Join(dir, info.Name())
			found = append(found, leftover{wire.Leftover{Path: filepath.Join(in.Name(), filepath.FromSlash(name)), Kind: kind, Bytes: sizeOf(in, name)}, in, name})
		}
	}
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

// close gives up what is held and open.
func (b *broom) close() {
	b.unlock()
	for _, root := range b.roots {
		root.Close() // it was only looked into
	}
	b.roots = nil
}

// tidy removes what is empty now.
func (b *broom) tidy() {
	for _, home := range b.homes {
		root, err := openOurs(home)
		if err != nil {
			continue
		}
		root.Remove(useLock)
		removeFreePorts(root)
		root.Remove("agents") // these fail when something else is in there
		root.Close()
		os.Remove(home)
	}
}

// sizeOf is the size in bytes of the files below a directory of a root, as far as it can be seen.
func sizeOf(root *os.Root, dir string) int64 {
	var n int64
	fs.WalkDir(root.FS(), dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
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

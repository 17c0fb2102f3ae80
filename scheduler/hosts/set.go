package hosts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/turns"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// Mirror says how hosts that do not share the controller's files get those that tests read. With
// one, every gateway of the run works in such a mirror, so that one build serves all of a platform:
// it has the mirror's paths compiled in.
type Mirror struct {
	Source rsync.Source
	// Dir returns where the tree goes, absolute, on hosts of a GOOS. It is the same on all of them,
	// and no other run's.
	Dir func(goos string) string
	// Keep leaves what tests have written into the mirror where it is; else the next run begins
	// without it.
	Keep bool
	// Pull are patterns, as rsync.Fetch takes them, of files to bring back from every host at the
	// end.
	Pull []string
	// Taken notes that a host has a directory of that name already, which is another user's.
	// Another run takes another name.
	Taken func()
	// PullLimit is how many bytes of them may come from each host; 0 means rsync.FetchLimit.
	PullLimit int64
}

// Set is the machines of a run, as far as their files go. Its methods may be called concurrently;
// they are called by the nodes' goroutines, which may wait for a tree or a binary while the
// controller's loop goes on.
type Set struct {
	Mirror *Mirror
	expect int    // how many hosts may come, to be served from one reading of the source
	runDir string // private to the run, for what comes from hosts
	built  *Host  // binaries that have come to the controller from the host that has built them; only bring is used

	sends sync.WaitGroup // syncs that go on
	tell  func(any)      // posts a BinaryFound or BinariesListed to the loop

	mu      sync.Mutex // guards the fields below
	byToken map[string]*Host
	asked   int
	batch   *batch // the next sync, or nil
	targets []*rsync.Target
}

// Host is a machine whose gateways share files, known by a token in the directory of the mirror.
type Host struct {
	Token  string
	mirror string             // directory, absolute
	local  bool               // the controller's own; guarded by Set.mu
	used   bool               // it was given tests to run; guarded by Set.mu
	doors  []*gateway.Gateway // those on it, which may have ended; guarded by Set.mu
	sent   atomic.Int64       // bytes of binaries so far

	brings turns.Turns       // whose holder brings a thing
	mu     sync.Mutex        // guards paths
	paths  map[string]string // of what is there, by its name
}

// theTree is the name under which a host's tree is brought.
const theTree = "tree"

// Error says that a host could not be given what it needs. It says nothing about tests.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// batch is a sync to hosts that became ready at about the same time.
type batch struct {
	sync  *rsync.Sync
	fullc chan struct{} // closed when nobody else is expected
}

// gather is how long the first host waits for others to be served from the same reading of the
// source.
const gather = 250 * time.Millisecond

// New is the hosts of a run whose gateways have these specs. tell may be called by several
// goroutines at once.
func New(m *Mirror, specs []xspec.Spec, runDir string, tell func(any)) *Set {
	h := &Set{Mirror: m, byToken: make(map[string]*Host), runDir: runDir, built: &Host{paths: make(map[string]string)}, tell: tell}
	var places []string
	for _, s := range specs { // hosts of agents that come by themselves are not waited for
		place := strings.Join([]string{s.SSH, s.Socket, s.Cmd, s.Via, s.InstallVia}, "\x00")
		if !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	h.expect = len(places)
	return h
}

// Join makes the host of a gateway ready for its worker: the tree is there, and not changed by
// another run. Gateways of one host wait for the first of them; when that one is lost another takes
// over.
func (hs *Set) Join(ctx context.Context, gw *gateway.Gateway) (*Host, error) {
	dir := hs.Mirror.Dir(gw.Info().GOOS)
	report, err := askHost(ctx, gw, wire.HostArgs{Mirror: dir})
	if err != nil {
		return nil, fmt.Errorf("prepare the host of gateway %s: %w", gw.ID(), err)
	}
	if report.Taken != "" {
		hs.Mirror.Taken()
		return nil, fmt.Errorf("prepare the host of gateway %s: %s; run again, and another name is used, or choose another place with --mirror-dir", gw.ID(), report.Taken)
	}
	h := hs.known(report.Token, dir, gw)
	_, err = h.bring(ctx, theTree, func() (string, error) {
		listed := hs.list(ctx, gw, h)
		err := hs.send(ctx, gw, dir)
		<-listed
		if err != nil {
			return "", fmt.Errorf("sync %s to gateway %s: %w", hs.Mirror.Source.Root, gw.ID(), err)
		}
		return dir, nil
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// SharesFiles reports whether an agent has the controller's files.
func SharesFiles(spec xspec.Spec) bool { return spec.Popen && spec.Via == "" }

// known returns the record of the host with a token, which gw leads to.
func (hs *Set) known(token, dir string, gw *gateway.Gateway) *Host {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.byToken[token]
	if h == nil {
		h = &Host{Token: token, mirror: dir, paths: make(map[string]string)}
		hs.byToken[token] = h
	}
	h.local = h.local || SharesFiles(gw.Spec())
	h.doors = append(h.doors, gw)
	return h
}

// Shared reports whether a host is the controller's own, as far as is known by now.
func (hs *Set) Shared(h *Host) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return h.local
}

// send brings the tree to the host of gw, together with the hosts that ask at about the same time,
// and does not wait for those.
func (hs *Set) send(ctx context.Context, gw *gateway.Gateway, dir string) error {
	hs.mu.Lock()
	b, first := hs.batch, false
	if b == nil {
		b = &batch{sync: rsync.New(hs.Mirror.Source), fullc: make(chan struct{})}
		hs.batch, first = b, true
	}
	resultc := make(chan error, 1) // never closed
	t := b.sync.AddTarget(gw, dir, rsync.TargetOptions{Delete: true, Clean: !hs.Mirror.Keep, Hold: true, Done: func(err error) { resultc <- err }})
	hs.targets = append(hs.targets, t)
	if hs.asked++; hs.asked >= hs.expect {
		hs.batch = nil
		close(b.fullc)
	}
	hs.mu.Unlock()
	if first {
		hs.sends.Go(func() { hs.lead(context.WithoutCancel(ctx), b) }) // when this gateway is lost the others go on
	}
	select {
	case err := <-resultc:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lead waits for the other hosts of b, and sends.
func (hs *Set) lead(ctx context.Context, b *batch) {
	wait := time.NewTimer(gather)
	defer wait.Stop()
	select {
	case <-b.fullc:
	case <-wait.C:
	}
	hs.mu.Lock()
	if hs.batch == b {
		hs.batch = nil
	}
	hs.mu.Unlock()
	b.sync.Send(ctx) // each target hears what became of it
}

// Wait returns when no sync goes on. The gateways have ended.
func (hs *Set) Wait() { hs.sends.Wait() }

// Release lets other runs have the mirrors.
func (hs *Set) Release(ctx context.Context) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, t := range hs.targets {
		t.Release(ctx) // its gateway may be gone, and the lock with it
	}
}

// Pull brings the files of hs.Mirror.Pull back from every host that has a mirror, through the first
// of its gateways that can do it.
func (hs *Set) Pull(ctx context.Context, gateways []*gateway.Gateway) error {
	failed := make(map[string]error) // by token, of hosts that have given nothing so far
	for token, dir := range hs.mirrors() {
		failed[token] = fmt.Errorf("bring files back from %s: no gateway is left on its host", dir)
	}
	for _, gw := range gateways {
		dir := hs.Mirror.Dir(gw.Info().GOOS)
		report, err := askHost(ctx, gw, wire.HostArgs{Mirror: dir})
		if err != nil || failed[report.Token] == nil {
			continue // it has ended, or is done; another gateway may have the host
		}
		if _, err := rsync.Fetch(ctx, gw, dir, hs.Mirror.Pull, hs.Mirror.Source.Root, hs.Mirror.PullLimit); err != nil {
			if errors.Is(err, rsync.ErrFetchLimit) {
				err = fmt.Errorf("%w; name fewer with --pull, or raise --pull-limit", err)
			}
			failed[report.Token] = fmt.Errorf("bring files back from the host of gateway %s: %w", gw.ID(), err)
			continue
		}
		delete(failed, report.Token)
	}
	return errors.Join(slices.Collect(maps.Values(failed))...)
}

// mirrors are the directories that tests ran in, by the tokens of their hosts.
func (hs *Set) mirrors() map[string]string {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	all := make(map[string]string)
	for token, h := range hs.byToken {
		if h.used {
			all[token] = h.mirror
		}
	}
	return all
}

// Place rewrites an order for the host: directories of the controller become those of the mirror,
// and the binary is brought there. An order with the binary of another host, which has the same
// mirror, gets that over the controller.
func (hs *Set) Place(ctx context.Context, gw *gateway.Gateway, h *Host, a wire.Assignment) (*wire.Order, error) {
	m, o := hs.Mirror, *a.Run
	hs.mu.Lock()
	h.used = true
	hs.mu.Unlock()
	if a.Host == h.Token {
		return &o, nil
	}
	if a.Host != "" {
		if err := hs.fetchBuilt(ctx, a.Host, a.Digest, &o); err != nil {
			return nil, err
		}
	}
	dir := h.Translate(m, gw.Info().GOOS, o.Dir)
	if dir == o.Dir && a.Host == "" && !hs.Shared(h) {
		return nil, fmt.Errorf("run %s on gateway %s: its directory %s is outside of %s, and other hosts have only what is in that", o.Package, gw.ID(), dir, m.Source.Root)
	}
	o.Dir = dir
	o.Args = slices.Clone(o.Args)
	for i, arg := range o.Args {
		o.Args[i] = h.translateArg(m, gw.Info().GOOS, arg)
	}
	if hs.Shared(h) {
		return &o, nil
	}
	// PATH names the toolchain of where it was built, which the host does not have.
	o.Env = slices.DeleteFunc(slices.Clone(o.Env), func(v string) bool { return strings.HasPrefix(v, "PATH=") })
	var err error
	if o.CoverMeta, err = h.bringCoverMeta(ctx, gw, o.CoverMeta); err != nil {
		return nil, err
	}
	name := a.Digest
	if a.Heals > 0 {
		name = fmt.Sprintf("%s mended %d", a.Digest, a.Heals)
	}
	o.Binary, err = h.bring(ctx, name, func() (string, error) {
		return hs.put(ctx, gw, h, o.Binary, rsync.PutOptions{Digest: a.Digest, Check: a.Heals > 0})
	})
	return &o, err
}

// Translate returns what a path of the controller is on the host; one outside of the tree stays.
func (h *Host) Translate(m *Mirror, goos, path string) string {
	rel, err := filepath.Rel(m.Source.Root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return path
	}
	sep := "/"
	if goos == "windows" {
		sep = `\`
	}
	if rel == "." {
		return h.mirror
	}
	return h.mirror + sep + strings.ReplaceAll(filepath.ToSlash(rel), "/", sep)
}

// Homeward names the tree's files in what a host's go command says as the user knows them.
func (h *Host) Homeward(root, text string) string {
	if !strings.Contains(text, h.mirror) {
		return text
	}
	return regexp.MustCompile(regexp.QuoteMeta(h.mirror)+`\b`).ReplaceAllLiteralString(text, root)
}

// translateArg translates the path in an argument -name=path.
func (h *Host) translateArg(m *Mirror, goos, arg string) string {
	name, value, ok := strings.Cut(arg, "=")
	if !ok || !strings.HasPrefix(name, "-test.") || !filepath.IsAbs(value) {
		return arg
	}
	return name + "=" + h.Translate(m, goos, value)
}

// bringCoverMeta brings the directory of -coverpkg's metafiles.
func (h *Host) bringCoverMeta(ctx context.Context, gw *gateway.Gateway, dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	return h.bring(ctx, dir, func() (string, error) {
		there := h.mirror + "-cover-" + filepath.Base(dir)
		s := rsync.New(rsync.Source{Root: dir, Extra: []string{"."}})
		s.AddTarget(gw, there, rsync.TargetOptions{Delete: true, Clean: true})
		if _, err := s.Send(ctx); err != nil {
			return "", err
		}
		return there, nil
	})
}

// bring makes sure that the host has a thing, by put, and returns its path there. put is called
// once, and again when it failed.
func (h *Host) bring(ctx context.Context, name string, put func() (string, error)) (string, error) {
	_, pass, err := h.brings.Take(ctx, name)
	if err != nil {
		return "", err
	}
	defer pass()
	h.mu.Lock()
	there := h.paths[name]
	h.mu.Unlock()
	if there != "" {
		return there, nil
	}
	there, err = put()
	if err == nil {
		h.mu.Lock()
		h.paths[name] = there
		h.mu.Unlock()
	}
	return there, err
}

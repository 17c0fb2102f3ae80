package hosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/internal/turns"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// Mirror says how hosts that do not share the controller's files get those that tests read. With
// one, every gateway of the run works in such a mirror, so that one build serves all of a platform:
// it has the mirror's paths compiled in. A host on which the name is another user's has its mirror
// in another place, and binaries that are built for that.
type Mirror struct {
	Source rsync.Source
	// Place is the name of the place that all binaries are built for at first. No other run has it.
	Place string
	// Dir returns where the tree goes, absolute, on hosts of a GOOS that have it in a place.
	Dir func(goos, place string) string
	// Other returns another place for a host, which is none of those that were tried there, and no
	// other run's. It is the same every time as far as can be. It may be called concurrently, as
	// may Build.
	Other func(tried []string) (string, error)
	// Prefer has the next run begin with a place.
	Prefer func(place string)
	// Build returns a package, of which it gets Package, Binary and Digest, with the test binary
	// that hosts with a place are to have.
	Build func(ctx context.Context, p gotest.Platform, place string, r gotest.Ready) (gotest.Ready, error)
	// Keep leaves what tests have written into the mirror where it is; else the next run begins
	// without it.
	Keep bool
	// Pull are patterns, as rsync.Fetch takes them, of files to bring back from every host at the
	// end.
	Pull []string
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

	patience time.Duration // with a host that is there and does not go on

	sends sync.WaitGroup // syncs that go on
	tell  func(any)      // posts what binaries.go has to the loop

	mu      sync.Mutex // guards the fields below
	byToken map[string]*Host
	asked   int
	batch   *batch // the next sync, or nil
	targets []*rsync.Target
}

// Host is a machine as one of its users has it, whose gateways share files. It is known by a token
// in the directory of the mirror.
type Host struct {
	Token  string
	place  string             // of the mirror
	mirror string             // directory, absolute
	local  bool               // the controller's own; guarded by Set.mu
	used   bool               // it was given tests to run; guarded by Set.mu
	doors  []*gateway.Gateway // those on it, which may have ended; guarded by Set.mu
	sent   atomic.Int64       // bytes of binaries so far

	carried atomic.Int64 // bytes of all that was sent so far
	toldOf  atomic.Int64 // when the loop was told of that, in nanoseconds

	brings turns.Turns       // whose holder brings a thing
	mu     sync.Mutex        // guards paths
	paths  map[string]string // of what is there, by its name
}

// theTree is the name under which a host's tree is brought.
const theTree = "tree"

// ErrSilent says that a host is there, and neither says nor takes anything of what it was asked
// for.
var ErrSilent = rsync.ErrSilent

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
	h := &Set{Mirror: m, byToken: make(map[string]*Host), runDir: runDir, patience: patience, built: &Host{paths: make(map[string]string)}, tell: tell}
	var doors []string
	for _, s := range specs { // hosts of agents that come by themselves are not waited for
		if door := Door(s); !slices.Contains(doors, door) {
			doors = append(doors, door)
		}
	}
	h.expect = len(doors)
	return h
}

// Door is the way that a spec leads to a host: specs with the same door lead to the same one, and
// to the same user there.
func Door(s xspec.Spec) string {
	return strings.Join([]string{s.SSH, s.Socket, s.Cmd, s.Net, s.Host, s.Via, s.InstallVia}, "\x00")
}

// Join makes the host of a gateway ready for its worker: the tree is there, and not changed by
// another run. Gateways of one host wait for the first of them; when that one is lost another takes
// over. A host that is there and does not go on is ErrSilent.
func (hs *Set) Join(ctx context.Context, gw *gateway.Gateway) (*Host, error) {
	h, err := hs.settle(ctx, gw)
	if err != nil {
		return nil, fmt.Errorf("prepare the host of gateway %s: %w", gw.ID(), err)
	}
	_, err = h.bring(ctx, theTree, func() (string, error) {
		listed := hs.list(ctx, gw, h)
		err := hs.send(ctx, gw, h)
		<-listed
		if err != nil {
			return "", fmt.Errorf("sync %s to gateway %s: %w", hs.Mirror.Source.Root, gw.ID(), err)
		}
		return h.mirror, nil
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// placesTried bounds what a host can refuse: an agent that lies must not have the run hold the
// names that others need.
const placesTried = 16

// settle finds the host of a gateway a place: that of the run, or the next one that is not another
// user's there.
func (hs *Set) settle(ctx context.Context, gw *gateway.Gateway) (*Host, error) {
	place, goos := hs.Mirror.Place, gw.Info().GOOS
	var tried []string
	var first string
	for len(tried) < placesTried {
		dir := hs.Mirror.Dir(goos, place)
		report, err := askHost(ctx, gw, wire.HostArgs{Mirror: dir}, hs.patience)
		if err != nil {
			return nil, err
		}
		if report.Taken == "" && first != "" {
			hs.tell(Elsewhere{Hostname: gw.Info().Hostname, Taken: first, Dir: dir})
		}
		if report.Taken == "" {
			return hs.known(report.Token, place, dir, gw), nil
		}
		first, tried = cmp.Or(first, dir), append(tried, place)
		if place, err = hs.Mirror.Other(tried); err != nil {
			return nil, fmt.Errorf("use %s for the mirror: %w; %w", dir, errTaken, err)
		}
	}
	return nil, fmt.Errorf("use %s for the mirror: %w, and so do the next %d names; choose another directory with --mirror-dir", first, errTaken, placesTried-1)
}

// SharesFiles reports whether an agent has the controller's files.
func SharesFiles(spec xspec.Spec) bool { return spec.Popen && spec.Via == "" }

// known returns the record of the host with a token, which gw leads to.
func (hs *Set) known(token, place, dir string, gw *gateway.Gateway) *Host {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.byToken[token]
	if h == nil {
		h = &Host{Token: token, place: place, mirror: dir, paths: make(map[string]string)}
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
func (hs *Set) send(ctx context.Context, gw *gateway.Gateway, h *Host) error {
	hs.mu.Lock()
	b, first := hs.batch, false
	if b == nil {
		b = &batch{sync: rsync.New(hs.Mirror.Source), fullc: make(chan struct{})}
		hs.batch, first = b, true
	}
	resultc := make(chan error, 1) // never closed
	t := b.sync.AddTarget(gw, h.mirror, rsync.TargetOptions{
		Delete: true, Clean: !hs.Mirror.Keep, Hold: true,
		Wait: hs.patience, Patience: hs.patience, // nobody else has a place of this run's, or not for long
		Sent: func(bytes int) { hs.tellSent(gw, h, bytes) },
		Done: func(err error) { resultc <- err },
	})
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

// Release lets other runs have the mirrors. When no host could have the run's place, the next run
// is to begin with one that a host has. It stays where it is when some could: of two users of one
// host one has to have another place, whatever the run begins with.
func (hs *Set) Release(ctx context.Context) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, t := range hs.targets {
		t.Release(ctx) // its gateway may be gone, and the lock with it
	}
	var places []string
	for _, h := range hs.byToken {
		places = append(places, h.place)
	}
	if len(places) > 0 && !slices.Contains(places, hs.Mirror.Place) {
		hs.Mirror.Prefer(slices.Min(places))
	}
}

// Pull brings the files of hs.Mirror.Pull back from every host that tests ran on, through the first
// of its gateways, which must be among these, that can do it. A host that is there and does not go
// on is given up. When ctx ends, so does Pull, with its cause.
func (hs *Set) Pull(ctx context.Context, gateways []*gateway.Gateway) error {
	var errs []error
	for _, h := range hs.usedHosts() {
		err := hs.pullFrom(ctx, h, gateways)
		if ctx.Err() != nil {
			return errors.Join(append(errs, fmt.Errorf("bring files back: %w", context.Cause(ctx)))...)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (hs *Set) pullFrom(ctx context.Context, h *Host, gateways []*gateway.Gateway) error {
	err := fmt.Errorf("bring files back from %s: no gateway is left on its host", h.mirror)
	for _, gw := range gateways {
		if !hs.leadsTo(gw, h) {
			continue
		}
		if _, err = rsync.Fetch(ctx, gw, h.mirror, hs.Mirror.Pull, hs.Mirror.Source.Root, hs.Mirror.PullLimit); err == nil {
			return nil
		}
		if errors.Is(err, rsync.ErrFetchLimit) {
			err = fmt.Errorf("%w; name fewer with --pull, or raise --pull-limit", err)
		}
		err = fmt.Errorf("bring files back from the host of gateway %s: %w", gw.ID(), err)
		if errors.Is(err, rsync.ErrFetchLimit) || errors.Is(err, ErrSilent) || ctx.Err() != nil {
			return err // it would be the same by another one
		}
	}
	return err
}

// usedHosts are those that tests ran on, by the order of their mirrors' names.
func (hs *Set) usedHosts() []*Host {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	var used []*Host
	for _, h := range hs.byToken {
		if h.used {
			used = append(used, h)
		}
	}
	slices.SortFunc(used, func(a, b *Host) int {
		return cmp.Or(strings.Compare(a.mirror, b.mirror), strings.Compare(a.Token, b.Token))
	})
	return used
}

// leadsTo reports whether a gateway is one of a host's.
func (hs *Set) leadsTo(gw *gateway.Gateway, h *Host) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return slices.Contains(h.doors, gw)
}

// Place rewrites an order for the host: directories of the controller become those of the mirror,
// and the binary is brought there. An order with the binary of another host gets that over the
// controller, and both must have the same place. A host with another place than the run's gets a
// binary that is built for it.
func (hs *Set) Place(ctx context.Context, gw *gateway.Gateway, h *Host, a wire.Assignment) (*wire.Order, error) {
	m, o := hs.Mirror, *a.Run
	hs.mu.Lock()
	h.used = true
	hs.mu.Unlock()
	if a.Host == h.Token {
		return &o, nil
	}
	if a.Host != "" {
		if err := hs.checkBuilt(gw, h, a); err != nil {
			return nil, err
		}
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
	name, digest := a.Digest, a.Digest
	if a.Heals > 0 {
		name = fmt.Sprintf("%s mended %d", a.Digest, a.Heals)
	}
	if a.Host == "" && h.place != m.Place {
		var err error
		if o.Binary, err = hs.buildFor(ctx, h, a, name); err != nil {
			return nil, fmt.Errorf("run %s on gateway %s: %w", o.Package, gw.ID(), err)
		}
		digest = filepath.Base(filepath.Dir(o.Binary)) // as in every store
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
	o.Binary, err = h.bring(ctx, name, func() (string, error) {
		return hs.put(ctx, gw, h, a.Digest, o.Binary, rsync.PutOptions{Digest: digest, Check: a.Heals > 0})
	})
	return &o, err
}

// checkBuilt refuses a binary of another host that has the mirror's path of its place compiled in,
// when this one has it in another.
func (hs *Set) checkBuilt(gw *gateway.Gateway, h *Host, a wire.Assignment) error {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if builder := hs.byToken[a.Host]; builder.place != h.place {
		return fmt.Errorf("run %s on gateway %s: with build=remote it was built in %s, and has that path; the name is another user's on this host, which has %s", a.Run.Package, gw.ID(), builder.mirror, h.mirror)
	}
	return nil
}

// buildFor returns the path here of the binary of an order as it is for the place of h. It is built
// once for all hosts with the place.
func (hs *Set) buildFor(ctx context.Context, h *Host, a wire.Assignment, name string) (string, error) {
	return hs.built.bring(ctx, h.place+" "+name, func() (string, error) {
		digest, err := store.ParseDigest(a.Digest)
		if err != nil {
			return "", err
		}
		r, err := hs.Mirror.Build(ctx, a.Platform, h.place, gotest.Ready{Package: a.Run.Package, Binary: a.Run.Binary, Digest: digest})
		return r.Binary, err
	})
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

package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

// Config says how a group starts and keeps its agents. The zero value is usable; for durations and
// sizes zero means the default that is documented, and negative switches off where that makes
// sense.
type Config struct {
	// Default is the spec of gateways that are opened with the empty spec. Zero means popen.
	Default xspec.Spec
	// Command starts an agent: program and arguments. It must call ServeStdio. Nil means this
	// executable with the argument "agent".
	Command []string
	// Agent gives the agent's executable for a platform, for hosts other than this one and for
	// platforms other than this one's. It may take its time, as a compiler does, until ctx ends,
	// which is with the opening that asks; it is called concurrently. Nil knows this executable's
	// own platform; package agents has what gives this program for others.
	Agent func(ctx context.Context, goos, goarch string) (Agent, error)
	// SourceDir is a directory in the module by which RunSource and RunPackage resolve imports. ""
	// is that of the file that calls them.
	SourceDir string
	// CacheDir keeps what RunSource and RunPackage have compiled. It is made when it is missing,
	// and refused when another user may write to it or to the directory that it is in. "" is xdist
	// in the user's cache directory.
	CacheDir string
	// FreshScripts has RunScript start an interpreter for each Python source, which then finds
	// nothing that another has left there. It takes the 20 ms that a Python does.
	FreshScripts bool
	// Prompt asks the user, for passwords and passphrases; echo says whether the answer may be seen
	// while it is typed. It is not called concurrently. Nil means that there is nobody to ask.
	Prompt func(question string, echo bool) (string, error)
	// Stderr gets what agents write to their standard error, as it comes, from one goroutine per
	// gateway at the same time. Nil is os.Stderr, and io.Discard drops it; its end is kept for
	// errors in any case.
	Stderr io.Writer
	// Trace is told when a phase of the opening of a gateway has ended well, and how long it took.
	// A phase may come more than once (jump hosts), and not at all where there was nothing to do;
	// together they are the whole time. It is called concurrently. Nil is for nobody.
	Trace func(gateway string, p Phase, took time.Duration)
	// Logger is told at level debug which gateways are up and how each connection ended, and gets
	// warnings, each once. Nil is for nobody.
	Logger *slog.Logger

	// OpenTimeout bounds the start of an agent up to its answer. The time that Agent takes does not
	// count, nor that in which this executable's digest is made. 0 means 60 s; negative is for
	// ever.
	OpenTimeout time.Duration
	// Beat is how often agents hear from the controller. 0 means 5 s.
	Beat time.Duration
	// Lease is how long each side goes on without a sign of life from the other. 0 means 15 s;
	// negative is for ever.
	Lease time.Duration
	// Grace is how long an agent gets to end after Exit, and its handlers in it, before it is
	// killed. 0 means 5 s.
	Grace time.Duration

	// MaxItem is the size in bytes of the largest item, encoded. 0 means 16 MiB, which is also
	// bounded below by 64 KiB and above by 1 GiB.
	MaxItem int
	// Window is how many bytes of one channel may be on the way unread. 0 means 4 MiB; at least 256
	// KiB, at most 256 MiB.
	Window int
	// OwnWindow is Window for what agents send, where many of them are to take little memory here.
	// 0 is Window, which it cannot be above.
	OwnWindow int
	// MaxChannels is how many channels a peer may have open at once. 0 means 4096.
	MaxChannels int
	// MaxCalls is how many calls of one gateway may run at once; more wait for their turn. 0 means
	// 10,000.
	MaxCalls int

	hosts *hosts // of the group that has this configuration; never nil there
}

// Agent is an executable that serves a gateway on its standard input and output.
type Agent struct {
	Path   string   // on the controller's host
	Digest string   // SHA-256 of the file, in lower-case hexadecimal digits
	Args   []string // to start it with
}

// withDefaults replaces zeros.
func (c Config) withDefaults() Config {
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	c.OpenTimeout = cmp.Or(c.OpenTimeout, 60*time.Second)
	c.Beat = cmp.Or(c.Beat, 5*time.Second)
	c.Lease = cmp.Or(c.Lease, 15*time.Second)
	c.Grace = cmp.Or(c.Grace, 5*time.Second)
	c.MaxItem = max(minItemSize, min(maxItemSize, cmp.Or(c.MaxItem, 16<<20)))
	c.Window = max(minWindow, min(maxWindow, cmp.Or(c.Window, 4<<20)))
	c.OwnWindow = max(minWindow, min(c.Window, cmp.Or(c.OwnWindow, c.Window)))
	c.MaxChannels = max(1, min(maxMaxChannels, cmp.Or(c.MaxChannels, 4096)))
	c.MaxCalls = max(1, cmp.Or(c.MaxCalls, 10_000))
	return c
}

// Group is a set of gateways; it gives them ids and owns their end. NewGroup makes one. All methods
// may be called concurrently.
//
// A group has no goroutine of its own; each of its gateways and listeners has, until Terminate or
// Exit has ended it.
type Group struct {
	cfg  Config
	dial dialer

	standstill standstill

	mu        sync.Mutex // guards the fields below
	ids       map[string]idState
	nextID    int
	order     []*Gateway        // the members, in the order in which Open returned them
	leaving   map[*Gateway]bool // left the group, and their end is not complete
	routes    routes
	listeners map[*Listener]bool // those that are open
	finished  bool               // Terminate was called
}

// idState is what has become of an id. An id that is in the map is never allocated again.
type idState int

const (
	idReserved idState = iota + 1 // by Allocate; Open may take it
	idTaken
)

// NewGroup returns an empty group.
func NewGroup(cfg Config) *Group { return newGroup(cfg, dial) }

func newGroup(cfg Config, d dialer) *Group {
	cfg = cfg.withDefaults()
	cfg.hosts = newHosts(cfg)
	return &Group{
		cfg: cfg, dial: d,
		ids: make(map[string]idState), leaving: make(map[*Gateway]bool), routes: newRoutes(), listeners: make(map[*Listener]bool),
	}
}

// Allocate returns spec with an id of this group reserved for it: its own id, or the next of gw0,
// gw1 and so on. The empty spec stands for Config.Default. The id is gone even when no gateway is
// ever opened with it. A gateway that goes through this one may be opened before it, and waits
// then. Errors: ErrIDTaken; that gateways would go through each other.
func (g *Group) Allocate(spec xspec.Spec) (xspec.Spec, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	spec, err := g.withDefault(spec)
	if err != nil {
		return spec, err
	}
	if spec.ID != "" {
		if g.ids[spec.ID] != 0 {
			return spec, fmt.Errorf("allocate id %q: %w", spec.ID, ErrIDTaken)
		}
	} else if spec, err = spec.WithID(g.freshID()); err != nil {
		return spec, err
	}
	if err := g.routes.plan(spec); err != nil {
		return spec, fmt.Errorf("allocate id %q: %w", spec.ID, err)
	}
	g.ids[spec.ID] = idReserved
	return spec, nil
}

func (g *Group) withDefault(spec xspec.Spec) (xspec.Spec, error) {
	if spec.String() != "" {
		return spec, nil
	}
	if g.cfg.Default.String() != "" {
		return g.cfg.Default, nil
	}
	return xspec.Parse("popen")
}

// freshID returns the next id that was never given. g.mu is held.
func (g *Group) freshID() string {
	for {
		id := fmt.Sprintf("gw%d", g.nextID)
		g.nextID++
		if g.ids[id] == 0 {
			return id
		}
	}
}

// take gives spec its id for good, before anything is started. It returns how to undo that, and for
// what reason.
func (g *Group) take(spec xspec.Spec) (xspec.Spec, func(error), error) {
	spec, err := g.withDefault(spec)
	if err != nil {
		return spec, nil, err
	}
	if !spec.HasTransport() {
		return spec, nil, ErrNoTransport
	}
	return g.takeID(spec)
}

// takeID is take for a gateway that needs no transport.
func (g *Group) takeID(spec xspec.Spec) (_ xspec.Spec, undo func(error), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.finished {
		return spec, nil, errTerminated
	}
	if InAgent() && !served.Load() {
		return spec, nil, errNotServed
	}
	if spec.ID == "" {
		if spec, err = spec.WithID(g.freshID()); err != nil {
			return spec, nil, err
		}
	} else if g.ids[spec.ID] == idTaken {
		return spec, nil, fmt.Errorf("id %q: %w", spec.ID, ErrIDTaken)
	}
	if err := g.routes.plan(spec); err != nil {
		return spec, nil, err
	}
	g.ids[spec.ID] = idTaken
	g.routes.begin(spec.ID)
	undo = func(reason error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ids[spec.ID] = idReserved
		g.routes.end(spec.ID, reason)
	}
	return spec, undo, nil
}

// Open is OpenSpec for a text, as in "ssh=user@host//id=a". A text that does not parse is an
// *xspec.Error.
func (g *Group) Open(ctx context.Context, spec string) (*Gateway, error) {
	if spec == "" {
		return g.OpenSpec(ctx, xspec.Spec{})
	}
	s, err := xspec.Parse(spec)
	if err != nil {
		return nil, err
	}
	return g.OpenSpec(ctx, s)
}

// OpenAll opens gateways for texts such as "4*popen", all at the same time, and returns them in the
// order of the texts. When one cannot be opened, those that could are ended; the error joins all.
func (g *Group) OpenAll(ctx context.Context, specs ...string) ([]*Gateway, error) {
	parsed, err := xspec.Expand(specs, nil)
	if err != nil {
		return nil, err
	}
	for i := range parsed { // so that ids are in order, and any may go through any
		if parsed[i], err = g.Allocate(parsed[i]); err != nil {
			return nil, err
		}
	}
	gws, errs := make([]*Gateway, len(parsed)), make([]error, len(parsed))
	var wg sync.WaitGroup
	for i, s := range parsed {
		wg.Go(func() { gws[i], errs[i] = g.OpenSpec(ctx, s) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, gw := range gws {
			if gw != nil {
				gw.Exit()
			}
		}
		return nil, err
	}
	return gws, nil
}

// standard is the group of Open and Connect where they are given no Config.
var standard = sync.OnceValue(func() *Group { return NewGroup(Config{}) })

// groupOf is the group that all of the program shares, or one of its own for a Config.
func groupOf(cfg []Config) (*Group, error) {
	switch len(cfg) {
	case 0:
		return standard(), nil
	case 1:
		return NewGroup(cfg[0]), nil
	}
	return nil, errors.New("more than one Config is given")
}

// Open opens a gateway in a group that all of the program shares. It ends by Exit, and with the
// program at the latest. The group has the zero Config, and knows agents for this program's own
// platform alone. A Config that is given is that of a group of the gateway's own:
//
//	gw, err := gateway.Open(ctx, "ssh=pi", gateway.Config{Agent: agents.Self()})
//
// Several gateways with a Config are better opened in one Group: they share connections, and may go
// through each other.
func Open(ctx context.Context, spec string, cfg ...Config) (*Gateway, error) {
	g, err := groupOf(cfg)
	if err != nil {
		return nil, fmt.Errorf("open gateway %q: %w", spec, err)
	}
	return g.Open(ctx, spec)
}

// OpenSpec starts an agent as spec says and returns the connected gateway, a member of the group.
// The empty spec stands for Config.Default. It may be called many times at once. ctx bounds only
// the opening, as does Config.OpenTimeout. A gateway that the spec goes through (via, installvia)
// and that has its id from Allocate or is being opened is waited for, which may take its own
// OpenTimeout and the time to get its agent. Errors: ErrNoTransport and ErrIDTaken before anything
// is started; else what the transport or the handshake met, with the agent's exit status and the
// end of its stderr; nothing is left running then.
func (g *Group) OpenSpec(ctx context.Context, spec xspec.Spec) (*Gateway, error) {
	text := spec.String()
	spec, undo, err := g.take(spec)
	if err != nil {
		return nil, fmt.Errorf("open gateway %q: %w", text, err)
	}
	err = g.await(ctx, spec)
	var gw *Gateway
	if err == nil {
		gw, err = g.start(ctx, spec)
	}
	if err != nil {
		err = fmt.Errorf("open gateway %q: %w", spec, err)
		undo(err)
		return nil, err
	}
	if err := g.enlist(gw); err != nil {
		return nil, fmt.Errorf("open gateway %q: %w", spec, err)
	}
	return gw, nil
}

var errTerminated = errors.New("group is terminated")

// enlist makes a connected gateway a member. On an error, which is that the group was terminated
// meanwhile, it has ended.
func (g *Group) enlist(gw *Gateway) error {
	g.mu.Lock()
	g.routes.end(gw.ID(), nil)
	if !g.finished {
		g.order = append(g.order, gw)
		g.mu.Unlock()
		if g.cfg.Logger != nil {
			g.cfg.Logger.Debug("gateway is up", "id", gw.ID(), "spec", gw.spec.String(), "host", gw.Info().Hostname, "pid", gw.Info().Pid)
		}
		return nil
	}
	g.leaving[gw] = true
	g.mu.Unlock()
	gw.Exit()
	<-gw.Done()
	return errTerminated
}

// String tells the group's members by their ids.
func (g *Group) String() string {
	var ids []string
	for gw := range g.All() {
		ids = append(ids, gw.ID())
	}
	return "group of " + cmp.Or(strings.Join(ids, ", "), "no gateways")
}

// Close is Terminate with the time of Config.Grace, for defer.
func (g *Group) Close() error { return g.Terminate(context.Background(), 0) }

// Lookup returns the member with this id.
func (g *Group) Lookup(id string) (*Gateway, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(g.order, func(gw *Gateway) bool { return gw.ID() == id })
	if i < 0 {
		return nil, false
	}
	return g.order[i], true
}

// Len returns the number of members.
func (g *Group) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.order)
}

// Index returns the place of gw among the members, or -1.
func (g *Group) Index(gw *Gateway) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Index(g.order, gw)
}

// At returns member i in the order in which they were opened. It panics when there is none.
func (g *Group) At(i int) *Gateway {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.order[i]
}

// All returns the present members in the order in which they were opened. The group may change
// meanwhile.
func (g *Group) All() iter.Seq[*Gateway] { return slices.Values(g.members()) }

func (g *Group) members() []*Gateway {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.order)
}

// RemoteExec runs the handler with this name in every member and returns their channels in the
// members' order. When one cannot be reached, the channels opened before it are closed.
func (g *Group) RemoteExec(ctx context.Context, name string, args any) (*MultiChannel, error) {
	var channels []*Channel
	for gw := range g.All() {
		c, err := gw.RemoteExec(ctx, name, args)
		if err != nil {
			for _, c := range channels {
				c.CloseWith(err) // never fails for a channel of our own
			}
			return nil, err
		}
		channels = append(channels, c)
	}
	return NewMultiChannel(channels...), nil
}

// remove takes gw out of the members until its end is complete.
func (g *Group) remove(gw *Gateway) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.order, gw); i >= 0 {
		g.order = slices.Delete(g.order, i, i+1)
		select {
		case <-gw.donec:
		default:
			g.leaving[gw] = true
		}
	}
}

// attend has Terminate end a gateway that is no member. It fails when it is too late for that.
func (g *Group) attend(gw *Gateway) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-gw.donec:
	default:
		g.leaving[gw] = true
	}
	return !g.finished
}

// reaped forgets a gateway whose end is complete.
func (g *Group) reaped(gw *Gateway) {
	g.standstill.leave(gw)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.leaving, gw)
}

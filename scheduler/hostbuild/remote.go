package hostbuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// Remote is a worker's connection whose host can build.
type Remote interface {
	// Build begins a build. It does not wait for it.
	Build(ctx context.Context, cmd *gotest.Command, args wire.BuildArgs) (Link, error)
	Place() Place
}

// Place says where a build takes place.
type Place struct {
	Gateway  string // id
	Hostname string
	Token    string // of the host
}

func (p Place) String() string {
	return fmt.Sprintf("the host of gateway %s (%s)", p.Gateway, p.Hostname)
}

// Link is the connection to one build, used by one goroutine.
type Link interface {
	Receive(context.Context) (wire.BuildReport, error)
	Exit() // ends the build; does not block
}

// LostError says that a gateway was lost while its host built.
type LostError struct{ Err error }

func (e *LostError) Error() string { return e.Err.Error() }
func (e *LostError) Unwrap() error { return e.Err }

// Start begins a build in the agent of a gateway, on the host h, where the tree is. root is the
// tree here.
func Start(ctx context.Context, gw *gateway.Gateway, h *hosts.Host, root string, args wire.BuildArgs) (Link, error) {
	ch, err := gw.RemoteExec(ctx, wire.BuildHandler, args)
	if err != nil {
		return nil, lostBuilder(err)
	}
	return channelBuild{ch, h, root}, nil
}

// channelBuild is a build in an agent.
type channelBuild struct {
	ch   *gateway.Channel
	host *hosts.Host
	root string // of the tree, here
}

func (b channelBuild) Exit() { b.ch.Close() } // never fails for a channel of our own

func (b channelBuild) Receive(ctx context.Context) (r wire.BuildReport, err error) {
	item, err := b.ch.ReceiveItem(ctx)
	if errors.Is(err, io.EOF) {
		err = errors.New("the agent ended the build without a word")
	}
	if err != nil {
		return r, lostBuilder(err)
	}
	r, err = wire.ReadBuildReport(item)
	b.ch.Recycle(item) // what was read is copied
	if err != nil {
		return r, err
	}
	if r.Output != nil {
		r.Output.Output = b.host.Homeward(b.root, r.Output.Output)
	}
	r.Stderr = b.host.Homeward(b.root, r.Stderr)
	return r, nil
}

// lostBuilder marks an error that comes of the end of a gateway: its node is about to end, and
// others may build.
func lostBuilder(err error) error {
	var lost *gateway.LostError
	if errors.As(err, &lost) || errors.Is(err, gateway.ErrExited) {
		return &LostError{err}
	}
	return err
}

// Config says what is to be built, and for whom. All fields but Toolchain are needed.
type Config struct {
	Command   *gotest.Command
	RunID     string
	Toolchain gotest.Toolchain // the controller's own
	Platform  gotest.Platform
	Emit      func(gotest.BuildEvent) // is called by Run's goroutine
}

// Build is what has come of the builds of one supply. The supply's goroutine owns it.
type Build struct {
	cfg Config

	listed  bool            // the collection is known
	settled map[string]bool // packages that have been built, or cannot be

	part    []gotest.Package // of the collection, as far as it has come
	profile []byte           // of -coverprofile
	told    budget           // of the host that builds
}

// New is a build of which nothing has come yet.
func New(cfg Config) *Build {
	return &Build{cfg: cfg, settled: make(map[string]bool)}
}

// Known reports whether the collection is known.
func (b *Build) Known() bool { return b.listed }

// Run builds on one host until there is nothing more to come.
func (b *Build) Run(ctx context.Context, on Remote) (Link, error) {
	place := on.Place()
	b.part, b.profile, b.told = nil, nil, budget{}
	link, err := on.Build(ctx, b.cfg.Command, wire.BuildArgs{RunID: b.cfg.RunID, GOFLAGS: b.cfg.Toolchain.GOFLAGS, Go: b.cfg.Platform.Go})
	for done := false; err == nil && !done; {
		var r wire.BuildReport
		if r, err = link.Receive(ctx); err == nil {
			done, err = b.take(r, place)
		}
	}
	if err == nil {
		if len(b.profile) > 0 {
			b.cfg.Emit(gotest.Profile{Text: b.profile})
		}
		return link, nil
	}
	if link != nil {
		link.Exit()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var remote *gateway.RemoteError
	if errors.As(err, &remote) && remote.Stack == "" {
		err = errors.New(remote.Text)
	}
	return nil, fmt.Errorf("build on %v: %w", place, err)
}

// take passes a report on. done is set after the last one.
func (b *Build) take(r wire.BuildReport, place Place) (done bool, err error) {
	if err := b.told.take(r); err != nil {
		return false, err
	}
	switch {
	case r.Done != nil:
		return true, r.Done.Err()
	case r.Go != "":
		if own := b.cfg.Toolchain.GOVERSION; own != "" && r.Go != own && b.cfg.Platform.Go == "" {
			b.cfg.Emit(gotest.Warning{Text: fmt.Sprintf("%v builds with %s, and this one has %s: verdicts may differ", place, r.Go, own)})
		}
	case r.Listed != nil:
		if b.part = append(b.part, r.Listed...); !r.More && !b.listed {
			b.listed = true
			b.warnOfCgo(place)
			b.cfg.Emit(gotest.Listed{Packages: b.part})
		}
	case r.Ready != nil:
		ready, err := r.Ready.Ready(place.Token)
		if err != nil {
			return false, fmt.Errorf("read the report on %s: %w", r.Ready.Package, err)
		}
		if b.settle(ready.Package) {
			b.cfg.Emit(ready)
		}
	case r.Reported != nil:
		if b.settle(r.Reported.Package) {
			b.cfg.Emit(*r.Reported)
		}
	case r.Output != nil:
		b.cfg.Emit(gotest.BuildOutput{Event: *r.Output})
	case r.Stderr != "":
		b.cfg.Emit(gotest.Stderr{Text: r.Stderr})
	case r.Step != nil:
		b.cfg.Emit(*r.Step)
	case r.Warning != "":
		b.cfg.Emit(gotest.Warning{Text: r.Warning})
	case r.Profile != nil:
		b.profile = append(b.profile, r.Profile...)
	}
	return false, nil
}

// warnOfCgo names the packages of which a host without a C compiler leaves something out.
func (b *Build) warnOfCgo(place Place) {
	var lacking []string
	for _, p := range b.part {
		if p.NeedsCgo {
			lacking = append(lacking, p.ImportPath)
		}
	}
	if len(lacking) > 0 {
		b.cfg.Emit(gotest.Warning{Text: fmt.Sprintf("%v has no C compiler, and leaves out what needs cgo of %s: install one there, or name it in the spec by env:CC=",
			place, strings.Join(lacking, ", "))})
	}
}

// settle reports whether nothing has been said of a package by a host that was lost.
func (b *Build) settle(path string) bool {
	if b.settled[path] {
		return false
	}
	b.settled[path] = true
	return true
}

// CollectHere makes the collection without the host, which could not: what is not run is to be
// listed. No C compiler is needed for it.
func (b *Build) CollectHere(ctx context.Context) {
	platform := gotest.Platform{GOOS: b.cfg.Platform.GOOS, GOARCH: b.cfg.Platform.GOARCH}
	env := append(platform.Environ(nil), "CGO_ENABLED=1")
	l, err := gotest.List(ctx, gotest.ListConfig{Command: b.cfg.Command, GOROOT: b.cfg.Toolchain.GOROOT, Env: env})
	if err != nil {
		b.cfg.Emit(gotest.Warning{Text: fmt.Sprintf("it is not known which tests are not run: %v", err)})
		return
	}
	b.cfg.Emit(gotest.Listed{Packages: l.Packages})
}

package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// Gateways with build=remote are a platform of their own, whose collection and binaries come from the first of their hosts that is ready: it has
// the tree, and builds all packages as the controller would for its own platform. A host of that platform that has not built gets
// the binaries over the controller. When the gateway is lost over it the next one builds; what has come by then stays.

// builder is a worker's connection whose host can build.
type builder interface {
	// build begins a build. It does not wait for it.
	build(ctx context.Context, cmd *gotest.Command, args wire.BuildArgs) (buildLink, error)
	buildPlace() buildPlace
}

// buildPlace says where a build takes place.
type buildPlace struct {
	gateway  string // id
	hostname string
	token    string // of the host
}

func (p buildPlace) String() string {
	return fmt.Sprintf("the host of gateway %s (%s)", p.gateway, p.hostname)
}

// buildLink is the connection to one build, used by one goroutine.
type buildLink interface {
	receive(context.Context) (wire.BuildReport, error)
	exit() // ends the build; does not block
}

// builderLost comes from the goroutine of a remote supply that needs another builder.
type builderLost struct {
	*supply
	gateway string
}

// builderLostError says that a gateway was lost while its host built.
type builderLostError struct{ err error }

func (e *builderLostError) Error() string { return e.err.Error() }
func (e *builderLostError) Unwrap() error { return e.err }

func (l gatewayLink) buildPlace() buildPlace {
	return buildPlace{gateway: l.gw.ID(), hostname: l.gw.Info().Hostname, token: l.host.Token}
}

func (l gatewayLink) build(ctx context.Context, cmd *gotest.Command, args wire.BuildArgs) (buildLink, error) {
	moved := cmd.Moved(func(path string) string { return l.host.Translate(l.hosts.Mirror, l.gw.Info().GOOS, path) })
	var err error
	if args.Command, err = moved.Encode(); err != nil {
		return nil, err
	}
	ch, err := l.gw.RemoteExec(ctx, wire.BuildHandler, args)
	if err != nil {
		return nil, lostBuilder(err)
	}
	return channelBuild{ch, l.host, l.hosts.Mirror.Source.Root}, nil
}

// channelBuild is a build in an agent.
type channelBuild struct {
	ch   *gateway.Channel
	host *hosts.Host
	root string // of the tree, here
}

func (b channelBuild) exit() { b.ch.Close() } // never fails for a channel of our own

func (b channelBuild) receive(ctx context.Context) (r wire.BuildReport, err error) {
	if err = b.ch.Receive(ctx, &r); errors.Is(err, io.EOF) {
		err = errors.New("the agent ended the build without a word")
	}
	if r.Output != nil {
		r.Output.Output = b.host.Homeward(b.root, r.Output.Output)
	}
	r.Stderr = b.host.Homeward(b.root, r.Stderr)
	return r, lostBuilder(err)
}

// lostBuilder marks an error that comes of the end of a gateway: its node is about to end, and others may build.
func lostBuilder(err error) error {
	var lost *gateway.LostError
	if errors.As(err, &lost) || errors.Is(err, gateway.ErrExited) {
		return &builderLostError{err}
	}
	return err
}

// offer gives a supply that waits for one a host to build on.
func (c *controller) offer(s *supply) {
	if s.builders == nil || s.offered {
		return
	}
	for _, n := range c.nodes {
		if n.ready && n.builder != nil && n.target.supply == s {
			s.offered = true
			s.builders <- n.builder // has room: one that nobody has taken
			return
		}
	}
}

// handleBuilderLost finds another host for a supply, now or when one is ready.
func (c *controller) handleBuilderLost(m builderLost) {
	if n := c.nodes[m.gateway]; n != nil {
		n.builder = nil // its end is about to come
	}
	m.offered = false
	c.offer(m.supply)
}

// remoteSource is the Source of a supply whose hosts build for themselves. The link is open until the caller ends it, and so stays what the
// build has left on its host; nil when there is none.
func (c *controller) remoteSource(ctx context.Context, s *supply, emit func(gotest.BuildEvent)) (buildLink, error) {
	b := &remoteBuild{cfg: c.cfg, platform: s.platform, emit: emit, settled: make(map[string]bool)}
	for {
		var on builder
		select {
		case on = <-s.builders:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		link, err := b.run(ctx, on)
		var lost *builderLostError
		if errors.As(err, &lost) && ctx.Err() == nil {
			emit(gotest.Warning{Text: fmt.Sprintf("%v; another one is to build", err)})
			c.post(builderLost{s, on.buildPlace().gateway})
			continue
		}
		if err != nil && !b.listed && ctx.Err() == nil {
			b.collectHere(ctx)
		}
		return link, err
	}
}

// remoteBuild is what has come of the builds of one supply. The supply's goroutine owns it.
type remoteBuild struct {
	cfg      Config
	platform gotest.Platform
	emit     func(gotest.BuildEvent)

	listed  bool            // the collection is known
	settled map[string]bool // packages that have been built, or cannot be

	part    []gotest.Package // of the collection, as far as it has come
	profile []byte           // of -coverprofile
}

// run builds on one host until there is nothing more to come.
func (b *remoteBuild) run(ctx context.Context, on builder) (buildLink, error) {
	place := on.buildPlace()
	b.part, b.profile = nil, nil
	link, err := on.build(ctx, b.cfg.Command, wire.BuildArgs{RunID: b.cfg.RunID, GOFLAGS: b.cfg.Toolchain.GOFLAGS, Go: b.platform.Go})
	for done := false; err == nil && !done; {
		var r wire.BuildReport
		if r, err = link.receive(ctx); err == nil {
			done, err = b.take(r, place)
		}
	}
	if err == nil {
		err = b.keepProfile()
	}
	if err == nil {
		return link, nil
	}
	if link != nil {
		link.exit()
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
func (b *remoteBuild) take(r wire.BuildReport, place buildPlace) (done bool, err error) {
	switch {
	case r.Done != nil:
		return true, r.Done.Err()
	case r.Go != "":
		if own := b.cfg.Toolchain.GOVERSION; own != "" && r.Go != own && b.platform.Go == "" {
			b.emit(gotest.Warning{Text: fmt.Sprintf("%v builds with %s, and this one has %s: verdicts may differ", place, r.Go, own)})
		}
	case r.Listed != nil:
		if b.part = append(b.part, r.Listed...); !r.More && !b.listed {
			b.listed = true
			b.warnOfCgo(place)
			b.emit(gotest.Listed{Packages: b.part})
		}
	case r.Ready != nil:
		ready, err := r.Ready.Ready(place.token)
		if err != nil {
			return false, fmt.Errorf("read the report on %s: %w", r.Ready.Package, err)
		}
		if b.settle(ready.Package) {
			b.emit(ready)
		}
	case r.Reported != nil:
		if b.settle(r.Reported.Package) {
			b.emit(*r.Reported)
		}
	case r.Output != nil:
		b.emit(gotest.BuildOutput{Event: *r.Output})
	case r.Stderr != "":
		b.emit(gotest.Stderr{Text: r.Stderr})
	case r.Warning != "":
		b.emit(gotest.Warning{Text: r.Warning})
	case r.Profile != nil:
		b.profile = append(b.profile, r.Profile...)
	}
	return false, nil
}

// warnOfCgo names the packages of which a host without a C compiler leaves something out.
func (b *remoteBuild) warnOfCgo(place buildPlace) {
	var lacking []string
	for _, p := range b.part {
		if p.NeedsCgo {
			lacking = append(lacking, p.ImportPath)
		}
	}
	if len(lacking) > 0 {
		b.emit(gotest.Warning{Text: fmt.Sprintf("%v has no C compiler, and leaves out what needs cgo of %s: install one there, or name it in the spec by env:CC=",
			place, strings.Join(lacking, ", "))})
	}
}

// settle reports whether nothing has been said of a package by a host that was lost.
func (b *remoteBuild) settle(path string) bool {
	if b.settled[path] {
		return false
	}
	b.settled[path] = true
	return true
}

// keepProfile puts what the host's go command has written to -coverprofile where the controller's would have.
func (b *remoteBuild) keepProfile() error {
	if len(b.profile) == 0 {
		return nil
	}
	name := gotest.CoverProfileFile(b.platform.RunDir(b.cfg.RunDir))
	err := os.MkdirAll(filepath.Dir(name), 0o700)
	if err == nil {
		err = os.WriteFile(name, b.profile, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the cover profile: %w", err)
	}
	return nil
}

// collectHere makes the collection without the host, which could not: what is not run is to be listed. No C compiler is needed for it.
func (b *remoteBuild) collectHere(ctx context.Context) {
	platform := gotest.Platform{GOOS: b.platform.GOOS, GOARCH: b.platform.GOARCH}
	env := append(platform.Environ(nil), "CGO_ENABLED=1")
	l, err := gotest.List(ctx, gotest.ListConfig{Command: b.cfg.Command, GOROOT: b.cfg.Toolchain.GOROOT, Env: env})
	if err != nil {
		b.emit(gotest.Warning{Text: fmt.Sprintf("it is not known which tests are not run: %v", err)})
		return
	}
	b.emit(gotest.Listed{Packages: l.Packages})
}

package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hostbuild"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/xspec"
)

// A run has one collection for each platform that its gateways have between them. The nodes of a
// platform share a pool and so its tests; under --dist each every node has a pool of its own.
// The platform of a popen gateway is known from its spec, and building for it begins at once. That
// of other gateways is what the agent says, unless the spec does: such a node has no pool until
// then. The controller's own platform is built for meanwhile, on the chance that it is theirs.

// builds are the platforms of a run, and who runs what was built for them.
type builds struct {
	pools     []*pool
	supplies  []*supply
	several   bool // the specs name more than one platform
	sourceCtx context.Context
	endSource context.CancelCauseFunc
}

// supply is what the Source gives for one platform. The loop owns it.
type supply struct {
	platform gotest.Platform
	name     string // for people
	suffix   string // of package names in events, "" when they need none
	pools    []*pool
	events   []gotest.BuildEvent // about packages, for pools that come later
	held     []gotest.BuildEvent // what has come before there was a pool
	shards   string              // gotest.Listed.Shards
	leftOut  int                 // gotest.Listed.LeftOut
	offer
	cancel  context.CancelCauseFunc
	dropped bool // nobody needs it; for one who comes later there is another
	done    bool
	err     error // after done
}

// offer is the host of a platform that builds for itself.
type offer struct {
	builders chan hostbuild.Remote // capacity 1, never closed: hosts to build on, where they do that; else nil
	offered  bool                  // there is one in builders, or one builds
}

// shards is how the suites of all platforms were divided, in an order that the platforms decide.
func (c *controller) shards() string {
	var all []string
	for _, s := range c.supplies {
		if s.shards != "" {
			all = append(all, s.name+"="+s.shards)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// leftOut is how many tests of all platforms were asked to be left out.
func (c *controller) leftOut() int {
	n := 0
	for _, s := range c.supplies {
		n += s.leftOut
	}
	return n
}

// pool is a set of nodes that share one policy: all those of a platform, or one of them under
// --dist each.
type pool struct {
	supply *supply
	suffix string // of package names in events
	policy *policy.Policy
	pkgs   map[string]*pkg // by import path
	built  awaited         // those that are not yet
	limit  time.Duration   // what lasts longer is worth dividing; 0 is nothing
	nodes  int             // that may still take work
	last   string          // the node that ended last, and why
	choosy bool            // some of its tests require labels
}

// platformOf is the platform that a spec and what is known of its agent ask for; known is false
// when only the agent can tell.
func (c *controller) platformOf(spec xspec.Spec, info gateway.Info) (p gotest.Platform, known bool) {
	own := c.cfg.Platform
	p = gotest.Platform{GOOS: cmp.Or(spec.GOOS, info.GOOS), GOARCH: cmp.Or(spec.GOARCH, info.GOARCH), Go: spec.Go, Remote: spec.BuildRemote}
	if spec.Popen && spec.Via == "" {
		p.GOOS, p.GOARCH = cmp.Or(spec.GOOS, own.GOOS), cmp.Or(spec.GOARCH, own.GOARCH)
	} else if p.GOOS == "" || p.GOARCH == "" {
		return gotest.Platform{}, false
	}
	if p == own {
		p = gotest.Platform{}
	}
	return p, true
}

// openAll opens the gateways, which takes its time in their own goroutines, and starts to build for
// the platforms that are known.
func (c *controller) openAll(specs []xspec.Spec) {
	known := make([]*gotest.Platform, len(specs))
	platforms := make(map[gotest.Platform]bool)
	for i, spec := range specs {
		if p, ok := c.platformOf(spec, gateway.Info{}); ok {
			known[i] = &p
			platforms[p] = true
		}
	}
	c.several = len(platforms) > 1
	var nodes []*node
	for i, spec := range specs {
		if c.replay != nil {
			c.replay.add(spec.ID, c.cfg.Replay[i])
		}
		nodes = append(nodes, c.open(spec, nil))
	}
	for i, n := range nodes {
		if known[i] != nil {
			c.place(n, *known[i])
		}
	}
	if len(specs) == 0 || slices.ContainsFunc(nodes, func(n *node) bool { return !n.placed && !n.spec.BuildRemote }) {
		c.supplyFor(gotest.Platform{})
	}
}

// supplyFor returns the supply of a platform, which is started when it is the first time.
func (c *controller) supplyFor(p gotest.Platform) *supply {
	for _, s := range c.supplies {
		if s.platform == p && !s.dropped {
			return s
		}
	}
	s := &supply{platform: p, name: cmp.Or(p.String(), c.cfg.Platform.String())}
	inUse := slices.ContainsFunc(c.supplies, func(s *supply) bool { return len(s.pools) > 0 })
	if c.several || p != (gotest.Platform{}) && (inUse || c.undecided()) {
		s.suffix = " [" + s.name + "]"
	}
	c.supplies = append(c.supplies, s)
	ctx, cancel := context.WithCancelCause(c.sourceCtx)
	s.cancel = cancel
	emit := func(e gotest.BuildEvent) { c.post(sourceEvent{s, e}) }
	if !p.Remote {
		c.wait.Go(func() { c.post(sourceDone{s, c.cfg.Source(ctx, p, emit)}) })
		return s
	}
	s.builders = make(chan hostbuild.Remote, 1)
	c.wait.Go(func() {
		link, err := c.remoteSource(ctx, s, emit)
		c.post(sourceDone{s, err})
		if link != nil {
			<-ctx.Done() // with the run
			link.Exit()
		}
	})
	return s
}

// place gives a node that has no pool one of its platform.
func (c *controller) place(n *node, p gotest.Platform) {
	n.placed = true // so that it does not count among the undecided when the supply gets its name
	n.pool = c.poolFor(c.supplyFor(p), n)
	n.pool.nodes++
}

// poolFor returns the pool of a supply that n belongs to, which may be a new one.
func (c *controller) poolFor(s *supply, n *node) *pool {
	if len(s.pools) > 0 && c.cfg.Dist != DistEach {
		return s.pools[0]
	}
	mode := policy.Load
	switch c.cfg.Dist {
	case DistLoadScope, DistEach, DistNo:
		mode = policy.LoadScope
	case DistWorkSteal:
		mode = policy.WorkSteal
	}
	t := &pool{supply: s, suffix: s.suffix, policy: policy.New(policy.Config{Mode: mode, PerHost: c.cfg.Command.BuildP, InOrder: c.inOrder()}), pkgs: make(map[string]*pkg)}
	if c.cfg.Dist == DistEach {
		t.suffix = " [" + strings.TrimSpace(n.id+" "+strings.Trim(s.suffix, " []")) + "]"
	}
	c.pools = append(c.pools, t)
	s.pools = append(s.pools, t)
	if len(s.pools) == 1 {
		held := s.held
		s.held = nil
		for _, e := range held {
			c.handleSource(s, e)
		}
	} else {
		for _, e := range s.events {
			c.apply(t, e)
		}
	}
	if s.done {
		c.endSupply(s, []*pool{t})
	}
	return t
}

// undecided reports whether there are nodes whose platform is not known, or none at all so far and
// they may come by themselves.
func (c *controller) undecided() bool {
	if c.listening > 0 && len(c.pools) == 0 {
		return true
	}
	for _, n := range c.nodes {
		if !n.placed {
			return true
		}
	}
	return false
}

// decide places a node whose agent has told its platform, and with it those that are to be opened
// in the same way.
func (c *controller) decide(n *node) {
	p, _ := c.platformOf(n.spec, n.info)
	alike := []*node{n}
	for _, other := range c.nodes {
		if other != n && !other.placed && withoutID(other.spec) == withoutID(n.spec) {
			alike = append(alike, other)
		}
	}
	slices.SortFunc(alike[1:], func(a, b *node) int { return strings.Compare(a.id, b.id) })
	for _, n := range alike {
		n.placed = true
	}
	for _, n := range alike {
		c.place(n, p)
	}
	c.dropUnused()
}

// dropUnused ends the building for a platform that no gateway turned out to have.
func (c *controller) dropUnused() {
	if c.undecided() {
		return
	}
	for _, s := range c.supplies {
		if len(s.pools) == 0 {
			s.dropped = true
			s.cancel(errors.New("no gateway has this platform"))
		}
	}
}

// stranded returns why the run cannot go on for lack of gateways, or nil. One whose platform is not
// known may still help.
func (c *controller) stranded() error {
	helped := c.undecided()
	for _, t := range c.pools {
		if t.nodes > 0 || t.policy.Done() || helped && c.cfg.Dist != DistEach {
			continue
		}
		where := ""
		if t.supply.suffix != "" {
			where = " on " + t.supply.name
		}
		return fmt.Errorf("no gateway is left to run the tests%s%s: the last one, %s", where, c.exhausted(), t.last)
	}
	if len(c.pools) == 0 && !helped {
		return fmt.Errorf("no gateway is left to run the tests%s: the last one, %s", c.exhausted(), c.last)
	}
	return nil
}

// exhausted says that gateways were not replaced for their number, or nothing.
func (c *controller) exhausted() string {
	if c.cfg.MaxWorkerRestart <= 0 || c.restart < c.cfg.MaxWorkerRestart {
		return ""
	}
	return fmt.Sprintf(" (%d gateways were replaced, and --max-worker-restart allows no more)", c.restart)
}

// withoutID is the text of a spec but for its id.
func withoutID(spec xspec.Spec) string {
	fields := slices.DeleteFunc(strings.Split(spec.String(), "//"), func(f string) bool { return strings.HasPrefix(f, "id=") })
	return strings.Join(fields, "//")
}

// buildOutput is an event about a build. Two platforms can fail to build one package, and each has
// its own compiler's text.
func (s *supply) buildOutput(e test2json.Event) test2json.Event {
	if e.ImportPath != "" {
		e.ImportPath += s.suffix
	}
	if e.FailedBuild != "" {
		e.FailedBuild += s.suffix
	}
	return e
}

// warning is a remark of the Source's, which names the platform where there are several.
func (s *supply) warning(text string) event.Warning {
	if s.suffix != "" {
		text = s.name + ": " + text
	}
	return event.Warning{Text: text}
}

package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// handleSource takes what the go command has to say of a platform: first the collection, then
// package by package.
func (c *controller) handleSource(s *supply, e gotest.BuildEvent) {
	if len(s.pools) == 0 {
		s.held = append(s.held, e)
		return
	}
	switch e := e.(type) {
	case gotest.Listed, gotest.Ready, gotest.Reported:
		s.events = append(s.events, e)
		for _, t := range s.pools {
			c.apply(t, e)
		}
	case gotest.BuildOutput:
		if c.stopped != "" {
			return // the run's end has interrupted a compiler or a linker
		}
		t := c.event(s.buildOutput(e.Event))
		t.Platform = s.name
		c.emit(t)
	case gotest.Profile:
		c.reportFault(c.addProfileText(e.Text))
	case gotest.Stderr:
		c.emit(event.Stderr{Text: e.Text})
	case gotest.Step:
		c.emit(event.BuildStep{Time: time.Now(), Platform: s.name, Step: e.Text})
	case gotest.Warning:
		c.emit(s.warning(e.Text))
	default:
		panic(fmt.Sprintf("BUG: controller got a %T from its source", e))
	}
}

// apply tells a pool what has become of its packages.
func (c *controller) apply(t *pool, e gotest.BuildEvent) {
	switch e := e.(type) {
	case gotest.Listed:
		t.supply.shards, t.supply.leftOut = e.Shards, e.LeftOut
		c.collect(t, e.Packages)
	case gotest.Ready:
		if c.replay.wants(e.Package) {
			p := c.known(t, e.Package)
			c.emit(event.Built{Time: time.Now(), Platform: t.supply.name, Package: p.shown, Ready: true})
			c.makeRunnable(p, e)
		}
	case gotest.Reported:
		if c.replay.wants(e.Package) {
			p := c.known(t, e.Package)
			c.emit(event.Built{Time: time.Now(), Platform: t.supply.name, Package: p.shown})
			c.closeReported(p, e)
		}
	}
}

func (c *controller) collect(t *pool, packages []gotest.Package) {
	items := 0
	if c.replay != nil {
		var unlisted []string
		if packages, unlisted = c.replay.only(packages); len(unlisted) > 0 {
			c.emit(event.Warning{Text: "not replayed, because they are not among the packages of this run: " + strings.Join(unlisted, ", ")})
		}
	}
	dirs := make(map[string]string, len(packages))
	for _, lp := range packages {
		if lp.Dir != "" { // else it is on another host only
			dirs[lp.ImportPath] = lp.Dir
		}
		p := c.addPackage(t, lp.ImportPath, lp.Items)
		p.serial, p.undivided, p.partial = lp.Serial, lp.Undivided, lp.Partial
		items += len(p.names)
	}
	c.expectAll(t)
	c.emit(event.Collected{Time: time.Now(), Platform: t.supply.name, Packages: len(packages), Items: items, Dirs: dirs})
}

func (c *controller) addPackage(t *pool, path string, items []gotest.Item) *pkg {
	p := &pkg{pool: t, num: policy.PackageID(len(c.pkgs)), path: path, shown: path + t.suffix, replay: c.replay}
	p.setItems(items)
	c.pkgs = append(c.pkgs, p)
	t.pkgs[path] = p
	c.ledger.collect(len(p.names))
	return p
}

// setItems takes what a package has to run, of which a replay leaves its own. Tests of one name,
// which an external test package may repeat, are one item: a process that is asked for the name
// runs all of them.
func (p *pkg) setItems(have []gotest.Item) {
	items, missing := p.replay.items(p.path, have)
	p.entire = missing == len(have)
	invented := len(items) - missing
	items, p.copies = unique(items)
	p.missing = len(items) - invented
	p.items = items
	p.names = make([]string, len(items))
	p.index = make(map[string]int, len(items))
	for i, it := range items {
		p.names[i] = it.Name
		p.index[it.Name] = i
	}
	p.expected = make([]time.Duration, len(items))
	p.verdicts = make([]event.Verdict, len(items))
	p.attempts = make([]int, len(items))
	p.took = make([]time.Duration, len(items))
	p.open = len(items)
}

// unique returns the first item of each name, and how many there are of it.
func unique(items []gotest.Item) (firsts []gotest.Item, copies []int) {
	at := make(map[string]int, len(items))
	firsts = make([]gotest.Item, 0, len(items))
	for _, it := range items {
		i, ok := at[it.Name]
		if !ok {
			i = len(firsts)
			at[it.Name] = i
			firsts, copies = append(firsts, it), append(copies, 0)
		}
		copies[i]++
	}
	return firsts, copies
}

// known returns the record of a package, made now when the collection does not have it: the go
// command is right about what there is to test.
func (c *controller) known(t *pool, path string) *pkg {
	if p := t.pkgs[path]; p != nil {
		return p
	}
	c.emit(event.Warning{Text: fmt.Sprintf("%s: the go command tests it, but the collection does not have it", path)})
	p := c.addPackage(t, path, nil)
	c.setExpected(p)
	t.await(p, 1)
	return p
}

// makeRunnable gives a package to its policy.
func (c *controller) makeRunnable(p *pkg, r gotest.Ready) {
	if c.stopped != "" {
		return // it is booked as not run
	}
	if p.state != pkgExpected {
		panic("BUG: " + p.path + " is ready twice")
	}
	p.leaveBuild(pkgBuilt)
	if c.replay != nil && r.Tests != nil {
		p.setItems(r.Tests)
	} else if r.Tests != nil && !p.has(r.Tests) {
		c.overrule(p, r.Tests)
	}
	p.ready, p.key = &r, r.Digest.Hex()
	if c.ordered() {
		c.releaseBuilt(p.pool)
		return
	}
	c.admitToPolicy(p)
}

// inOrder reports whether packages begin in the order in which go test has them: with -failfast, so
// that the first failure of several is that of the first package, and with -p 1, which people write
// because a package needs what one before it leaves behind.
func (c *controller) inOrder() bool { return c.cfg.Command.FailFast || c.cfg.Command.BuildP == 1 }

// ordered reports whether packages that can run wait for others.
func (c *controller) ordered() bool { return c.inOrder() || c.cfg.FailedFirst }

// releaseBuilt gives packages to their policy. With FailedFirst those that did not fail last wait
// until it is known of all that did whether they can run.
func (c *controller) releaseBuilt(t *pool) {
	waits := false
	for _, q := range c.pkgs {
		waits = waits || q.pool == t && q.first && q.state == pkgExpected
	}
	for _, q := range c.pkgs {
		switch {
		case q.pool != t || q.state == pkgClosed:
		case q.state == pkgExpected:
			if c.inOrder() {
				return
			}
		case q.state == pkgBuilt && (q.first || !waits):
			c.admitToPolicy(q)
		}
	}
}

// admitToPolicy gives a package that can run to its policy.
func (c *controller) admitToPolicy(p *pkg) {
	p.state = pkgRunnable
	p.pool.policy.AddPackage(c.plan(p))
	c.delayContenders(p)
	c.stores.ready(p)
	c.dropMissing(p)
}

// has reports whether these are the tests of the package.
func (p *pkg) has(tests []gotest.Item) bool {
	firsts, copies := unique(tests)
	return slices.Equal(copies, p.copies) && slices.EqualFunc(firsts, p.names, func(it gotest.Item, name string) bool { return it.Name == name })
}

// overrule replaces what was found in the sources of p by what is in its binary.
func (c *controller) overrule(p *pkg, tests []gotest.Item) {
	collected := len(p.names)
	p.setItems(gotest.Annotated(tests, p.items))
	c.emit(event.Warning{Text: fmt.Sprintf("%s: found %d tests in its sources and %d in its binary; running those of the binary", p.path, collected, len(p.names))})
	c.ledger.collect(len(p.names) - collected)
	c.setExpected(p)
}

// awaited sums up the packages of a pool that are being built.
type awaited struct {
	items, packages int
	cost            time.Duration
}

// await counts p among what is being built, with n = 1, or not any more, with n = -1.
func (t *pool) await(p *pkg, n int) {
	t.built.items += n * len(p.names)
	t.built.packages += n
	for _, d := range p.expected {
		t.built.cost += time.Duration(n) * d
	}
	t.policy.Expect(t.built.items, t.built.packages, t.built.cost)
}

// closeReported closes a package that never ran with the events that the go command made for it.
// Its items are not run; where the go command calls a package with items anything but failed, the
// two disagree on what there is, and that is no pass. A package that cannot be built for the
// platform at all is no failure either, as it is none for the go command, which does not speak of
// it.
func (c *controller) closeReported(p *pkg, r gotest.Reported) {
	if p.state == pkgClosed {
		return
	}
	failed := false
	for _, e := range r.Events {
		e = p.pool.supply.buildOutput(e)
		e.Package = p.shown
		if e.Test == "" && e.Action == test2json.ActionFail {
			failed = true
			c.buildFailed++
			c.failures++
		}
		c.emit(c.packageEvent(p, e))
	}
	why := "the package did not build"
	if r.Excluded != "" {
		why = r.Excluded
		c.emit(p.pool.supply.warning(fmt.Sprintf("%s: %s", p.path, why)))
	} else if !failed && p.open > 0 {
		c.failed++
		c.emit(event.Warning{Text: fmt.Sprintf("%s: it has %d tests in its sources and the go command ran none; were they changed meanwhile?", p.shown, p.open)})
	}
	c.settleRest(p, why)
	p.leaveBuild(pkgClosed)
	if c.ordered() && c.stopped == "" {
		c.releaseBuilt(p.pool)
	}
	c.checkMaxFail()
}

// handleSourceDone ends what a Source was for. One that nobody needs may have failed in any way.
func (c *controller) handleSourceDone(s *supply, err error) {
	s.done, s.err = true, err
	if len(s.pools) > 0 {
		c.endSupply(s, s.pools)
		return
	}
	if _, build := errors.AsType[*gotest.BuildError](err); err != nil && !build && !s.dropped && len(c.nodes) == 0 && c.stopped == "" {
		c.fatal = err // before anybody has come, who could do no better
		c.stop(err.Error())
	}
}

// endSupply closes what the go command did not speak of: nothing it was asked for may vanish.
func (c *controller) endSupply(s *supply, pools []*pool) {
	for _, p := range c.pkgs { // what waited for packages that do not come
		if p.state == pkgBuilt && c.stopped == "" && slices.Contains(pools, p.pool) {
			c.admitToPolicy(p)
		}
	}
	for _, t := range pools {
		t.policy.NoMore()
	}
	if s.err != nil && c.stopped == "" {
		var build *gotest.BuildError
		if errors.As(s.err, &build) {
			c.buildFailed++
			c.emit(s.warning(s.err.Error()))
		} else {
			c.fatal = s.err
			if s.suffix != "" {
				c.fatal = fmt.Errorf("%s: %w", s.name, s.err)
			}
			c.stop(c.fatal.Error())
		}
	}
	reason := c.stopped
	if reason == "" {
		reason = "the go command ended without building the package"
	}
	for _, p := range c.pkgs {
		if p.state == pkgExpected && slices.Contains(pools, p.pool) {
			c.startPackage(p)
			c.settleRest(p, reason)
			c.close(p)
		}
	}
}

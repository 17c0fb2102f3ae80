package scheduler

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// handleSource takes what the go command has to say: first the collection, then package by package.
func (c *controller) handleSource(e gotest.BuildEvent) {
	switch e := e.(type) {
	case gotest.Listed:
		c.collect(e.Packages)
	case gotest.Ready:
		for _, t := range c.targets {
			c.makeRunnable(c.known(t, e.Package), e)
		}
	case gotest.Reported:
		for _, t := range c.targets {
			c.closeReported(c.known(t, e.Package), e.Events)
		}
	case gotest.BuildOutput:
		c.emit(c.event(e.Event))
	case gotest.Stderr:
		c.emit(Stderr{e.Text})
	case gotest.Warning:
		c.emit(Warning{e.Text})
	default:
		panic(fmt.Sprintf("BUG: controller got a %T from its source", e))
	}
	c.expect()
}

func (c *controller) collect(packages []gotest.Package) {
	items, tested := 0, 0
	for _, t := range c.targets {
		for _, lp := range packages {
			p := c.addPackage(t, lp.ImportPath, lp.Items)
			items += len(p.names)
			tested++
		}
	}
	c.emit(Collected{Platform: c.cfg.Platform, Packages: tested, Items: items})
}

func (c *controller) addPackage(t *target, path string, items []gotest.Item) *pkg {
	p := &pkg{target: t, num: policy.PackageID(len(c.pkgs)), path: path, shown: path + t.suffix}
	p.setItems(items)
	c.pkgs = append(c.pkgs, p)
	t.pkgs[path] = p
	c.ledger.collect(len(p.names))
	return p
}

func (p *pkg) setItems(items []gotest.Item) {
	p.names = make([]string, len(items))
	p.index = make(map[string]int, len(items))
	for i, it := range items {
		p.names[i] = it.Name
		p.index[it.Name] = i
	}
	p.verdicts = make([]Verdict, len(items))
	p.attempts = make([]int, len(items))
	p.open = len(items)
}

// known returns the record of a package, made now when the collection does not have it: the go command is right about
// what there is to test.
func (c *controller) known(t *target, path string) *pkg {
	if p := t.pkgs[path]; p != nil {
		return p
	}
	c.emit(Warning{fmt.Sprintf("%s: the go command tests it, but the collection does not have it", path)})
	return c.addPackage(t, path, nil)
}

// makeRunnable gives a package to its policy.
func (c *controller) makeRunnable(p *pkg, r gotest.Ready) {
	if c.stopped != "" {
		return // it is booked as not run
	}
	if p.state != pkgExpected {
		panic("BUG: " + p.path + " is ready twice")
	}
	if r.Tests != nil && !slices.EqualFunc(r.Tests, p.names, func(it gotest.Item, name string) bool { return it.Name == name }) {
		c.emit(Warning{fmt.Sprintf("%s: found %d tests in its sources and %d in its binary; running those of the binary", p.path, len(p.names), len(r.Tests))})
		c.ledger.collect(len(r.Tests) - len(p.names))
		p.setItems(r.Tests)
	}
	p.ready = &r
	p.state = pkgRunnable
	grain := c.cfg.Command.Grain()
	p.target.policy.AddPackage(policy.Package{ID: p.num, Names: p.names, Whole: grain != gotest.Split, Alone: grain == gotest.Alone})
}

// expect tells each policy what is still being built.
func (c *controller) expect() {
	for _, t := range c.targets {
		items, packages := 0, 0
		for _, p := range t.pkgs {
			if p.state == pkgExpected {
				items += len(p.names)
				packages++
			}
		}
		t.policy.Expect(items, packages)
	}
}

// closeReported closes a package that never ran with the events that the go command made for it. Its items are not run; where the
// go command calls a package with items anything but failed, the two disagree on what there is, and that is no pass.
func (c *controller) closeReported(p *pkg, events []test2json.Event) {
	if p.state == pkgClosed {
		return
	}
	failed := false
	for _, e := range events {
		e.Package = p.shown
		if e.Test == "" && e.Action == test2json.ActionFail {
			failed = true
			c.buildFailed++
			c.failures++
		}
		c.emit(c.event(e))
	}
	if !failed && p.open > 0 {
		c.failed++
		c.emit(Warning{fmt.Sprintf("%s: it has %d tests in its sources and the go command ran none; were they changed meanwhile?", p.shown, p.open)})
	}
	c.settleRest(p, "the package did not build")
	p.state = pkgClosed
	c.checkMaxFail()
}

// handleSourceDone closes what the go command did not speak of: nothing it was asked for may vanish.
func (c *controller) handleSourceDone(err error) {
	c.sourceDone = true
	for _, t := range c.targets {
		t.policy.NoMore()
	}
	if err != nil && c.stopped == "" {
		c.fatal = err
		var build *gotest.BuildError
		if errors.As(err, &build) {
			c.fatal = nil
			c.buildFailed++
			c.emit(Warning{err.Error()})
		} else {
			c.stop(err.Error())
		}
	}
	reason := c.stopped
	if reason == "" {
		reason = "the go command ended without building the package"
	}
	for _, p := range c.pkgs {
		if p.state == pkgExpected {
			c.startPackage(p)
			c.settleRest(p, reason)
			c.close(p)
		}
	}
}

// event makes a reporter's event of one in the go test stream.
func (c *controller) event(e test2json.Event) Test {
	return Test{Event: e, Attempt: 1, Done: c.ledger.done(), Total: c.ledger.collected}
}

package scheduler

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// dispatch gives every node without a unit something to do.
func (c *controller) dispatch() {
	if c.stopped != "" || !c.enough {
		return
	}
	if c.replay != nil {
		c.dispatchReplay()
		return
	}
	if !slices.ContainsFunc(c.pools, func(t *pool) bool { return t.policy.Waiting() }) {
		return
	}
	idle := c.idle[:0]
	for _, n := range c.idle {
		if p := n.pool.policy; p.Waiting() && (n.refused == 0 || n.refused != p.Stamp()) {
			if u, ok := p.Next(policy.NodeID(n.id)); ok {
				n.refused = 0
				c.assign(n, u, c.errandOf(u))
				continue
			}
			n.refused = p.Stamp()
		}
		idle = append(idle, n)
	}
	clear(c.idle[len(idle):])
	c.idle = idle
	for _, t := range c.pools {
		c.refuse(t)
	}
}

// assign gives n a unit for an errand.
func (c *controller) assign(n *node, u policy.Unit, e errand) {
	p := c.pkgs[u.Package]
	j := &job{
		pkg: p, unit: u, errand: e, started: time.Now(), heard: heard{items: make(map[string]*itemRun)},
	}
	j.first = u.Whole && len(u.Items) == len(p.names) && len(p.setbacks)+len(p.trials) == 0 && p.units == 0
	if j.first {
		p.stage = stageWhole
	}
	n.job = j
	c.enterHost(n)
	p.jobs = append(p.jobs, j)
	p.units++
	tries := 1
	for _, i := range u.Items {
		p.attempts[i]++
		tries = max(tries, p.attempts[i])
	}
	c.startPackage(p)
	if p.stage == stageProbing && p.units == 1 {
		time.AfterFunc(c.proof, func() { c.post(probed{p}) })
	}
	names, part := e.ask(j)
	o := c.order(n, p, names, part)
	o.Delay = c.rerunDelay(p, u)
	o.Env = append(slices.Clip(o.Env), fmt.Sprintf("XDIST_ATTEMPT=%d", tries))
	c.losePatience(j, o)
	if p.counts != nil {
		o.Limit = p.counts.limit
	}
	j.order = o
	n.orders.put(wire.Assignment{Run: o, Digest: p.key, Host: p.ready.Host, Heals: p.heals, Platform: p.pool.supply.platform})
	if p.state == pkgClosed {
		return // all has been said of it
	}
	started := event.UnitStarted{Time: j.started, Gateway: n.id, Package: p.shown, Items: len(u.Items), Key: p.key}
	started.Tests, started.Skip = j.tests(names, part)
	c.emit(started)
}

// order is what n is asked to run of p: the named tests, nil for all, or a part of one.
func (c *controller) order(n *node, p *pkg, names []string, part *unit.Part) *wire.Order {
	cmd, r := c.cfg.Command, p.ready
	o := &wire.Order{
		Package: p.path, Binary: r.Binary, Args: r.Args, Exec: cmd.Exec, Dir: r.Dir, Env: envFor(n.spec, r.Env), Names: names, Part: part,
		Timeout: cmd.Timeout, CoverProfile: cmd.Cover, CoverMeta: r.CoverMeta, Streamed: len(cmd.Packages) == 0,
	}
	o.TestTimeout = c.cfg.TestTimeout
	n.localize(o, c.hosts != nil)
	o.TestTimeouts = p.timeouts(o.Names)
	return o
}

// tests name what the process of j runs that was asked for names and part. In what they name "/..."
// is all but skip.
func (j *job) tests(names []string, part *unit.Part) (tests, skip []string) {
	switch {
	case part != nil && part.Only == nil:
		return []string{strings.Join(part.Path, "/") + "/..."}, part.Skip
	case part != nil:
		for _, name := range part.Only {
			tests = append(tests, strings.Join(part.Path, "/")+"/"+name)
		}
		return tests, nil
	case names == nil:
		return j.pkg.names, nil
	}
	return names, nil
}

// envFor is what a test process gets in addition to its worker's environment. A PATH of the spec's
// own keeps the toolchain's directory before it, which go test puts there.
func envFor(spec xspec.Spec, env []string) []string {
	for _, v := range spec.Env {
		if v.Name != "PATH" {
			continue
		}
		env = slices.Clone(env)
		for i, e := range env {
			if path, ok := strings.CutPrefix(e, "PATH="); ok {
				first, _, _ := strings.Cut(path, string(os.PathListSeparator))
				env[i] = "PATH=" + first + string(os.PathListSeparator) + v.Value
			}
		}
	}
	return env
}

// workerEnv is what tests see of the run.
func (c *controller) workerEnv(n *node) []string {
	return append([]string{
		"XDIST_WORKER=" + n.id,
		fmt.Sprintf("XDIST_WORKER_COUNT=%d", n.count),
		"XDIST_TESTRUNUID=" + c.cfg.RunID,
	}, c.cfg.TestEnv...)
}

// release ends n's job and closes the package when it was the last. inBooks makes the policy's
// entry.
func (c *controller) release(n *node, inBooks func()) {
	j, p := n.job, n.job.pkg
	n.job = nil
	j.clock.stop()
	c.leaveHost(n)
	if c.nodes[n.id] == n && n.refusal == nil {
		c.idle = append(c.idle, n)
	}
	p.jobs = slices.DeleteFunc(p.jobs, func(other *job) bool { return other == j })
	if p.state != pkgClosed {
		c.emit(event.UnitEnded{Time: time.Now(), Gateway: n.id, Package: p.shown})
	}
	inBooks()
	c.observe(p)
	if p.failed && c.cfg.Command.FailFast {
		c.revoke("-failfast") // what runs goes on, as under go test
	}
	if c.stopped != "" || j.stopped() {
		p.pool.policy.Drop(p.num)
		if len(p.jobs) == 0 {
			c.settleRest(p, c.stopped)
		}
		c.giveUpIdle(p.pool, c.stopped)
	}
	if p.settled() && !c.owes(p) {
		c.close(p)
	}
	j.dropProfile()
	c.checkMaxFail()
}

// owes reports whether the whole of a package that is at its end has to run once more: a process
// that fails for no test has to do so as go test runs it, and one whose test failed must not be
// green.
func (c *controller) owes(p *pkg) bool {
	if c.stopped != "" || !p.owed || p.wholes.runs >= mostWholes {
		return false
	}
	p.owed = false
	p.wholes.runs++
	p.pool.policy.Owe(p.num)
	return true
}

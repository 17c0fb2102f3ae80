package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// A replay runs the units of an earlier run again, each in a process of its own with the same
// tests, and on each gateway in the order in which one gateway had them. Nothing else is collected.
// The policy keeps the books and chooses nothing. What a process says counts: no failure is
// doubted, and what a process that died has left over does not run unless the earlier run had it
// run again. A test that is in several units has the worst of its verdicts, and two of these units
// never run at the same time.

// replay is what is left of the units. The loop owns it. A nil one is none, and owes nothing.
type replay struct {
	queues map[string][]history.UnitRun // by node
	wanted map[string]map[string]bool   // top-level tests, by import path
	left   map[string]int               // units in queues, by import path and by test id
}

func newReplay() *replay {
	return &replay{queues: make(map[string][]history.UnitRun), wanted: make(map[string]map[string]bool), left: make(map[string]int)}
}

// add gives a node its units.
func (r *replay) add(node string, units []history.UnitRun) {
	r.queues[node] = slices.Clone(units)
	for _, u := range units {
		r.count(u, 1)
		if r.wanted[u.Package] == nil {
			r.wanted[u.Package] = make(map[string]bool)
		}
		for _, test := range topLevels(u) {
			r.wanted[u.Package][test] = true
		}
	}
}

func (r *replay) count(u history.UnitRun, n int) {
	r.left[u.Package] += n
	for _, test := range topLevels(u) {
		r.left[gotest.ID(u.Package, test)] += n
	}
}

// topLevels are the tests that a unit is of.
func topLevels(u history.UnitRun) []string {
	var out []string
	for _, test := range u.Tests {
		if top := topLevel(test); !slices.Contains(out[max(0, len(out)-1):], top) {
			out = append(out, top)
		}
	}
	return out
}

// owes reports whether there are units left of a package or test id.
func (r *replay) owes(key string) bool { return r != nil && r.left[key] > 0 }

// pop takes the next unit from a node's queue.
func (r *replay) pop(node string) {
	r.count(r.queues[node][0], -1)
	r.queues[node] = r.queues[node][1:]
}

// putBack has a unit run again that came to nothing with its agent.
func (r *replay) putBack(node string, u history.UnitRun) {
	r.count(u, 1)
	r.queues[node] = slices.Insert(slices.Clone(r.queues[node]), 0, u)
}

// move gives the units of a node to the one in its place, "" for none.
func (r *replay) move(from, to string) {
	units := r.queues[from]
	delete(r.queues, from)
	if to != "" {
		r.queues[to] = units
		return
	}
	for _, u := range units {
		r.count(u, -1)
	}
}

// revoke takes all units back.
func (r *replay) revoke() {
	if r != nil {
		clear(r.queues)
		clear(r.left)
	}
}

// wants reports whether a package is in the replay.
func (r *replay) wants(path string) bool {
	if r == nil {
		return true
	}
	_, ok := r.wanted[path]
	return ok
}

// only are the packages of the replay. The others of it, which are not listed, leave it.
func (r *replay) only(packages []gotest.Package) (kept []gotest.Package, unlisted []string) {
	listed := make(map[string]bool)
	for _, p := range packages {
		if r.wants(p.ImportPath) {
			listed[p.ImportPath] = true
			kept = append(kept, p)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(r.wanted)) {
		if !listed[path] {
			unlisted = append(unlisted, path)
			delete(r.wanted, path)
		}
	}
	for node, units := range r.queues {
		r.queues[node] = slices.DeleteFunc(units, func(u history.UnitRun) bool { return !listed[u.Package] })
	}
	return kept, unlisted
}

// items are those that a package has and that are in the replay, in the order of the binary. From
// the index missing on they do not exist. A nil replay has all.
func (r *replay) items(path string, have []gotest.Item) (items []gotest.Item, missing int) {
	if r == nil {
		return have, len(have)
	}
	left := maps.Clone(r.wanted[path])
	for _, it := range have {
		if left[it.Name] {
			items = append(items, it)
			delete(left, it.Name)
		}
	}
	missing = len(items)
	for _, name := range slices.Sorted(maps.Keys(left)) {
		items = append(items, gotest.Item{Name: name})
	}
	return items, missing
}

// dropMissing books tests of a package that can run as not run because they do not exist.
func (c *controller) dropMissing(p *pkg) {
	if p.missing == len(p.names) {
		return
	}
	var items []int
	for i := p.missing; i < len(p.names); i++ {
		items = append(items, i)
		c.ledger.settle(p, i, event.NotRun, 0, "", "it is to be replayed and does not exist")
	}
	p.failed = true
	p.pool.policy.Withdraw(p.num, items)
	c.emit(event.Warning{Text: fmt.Sprintf("%s: it does not have these tests, which are to be replayed: %s", p.shown, strings.Join(p.names[p.missing:], ", "))})
}

// dispatchReplay gives every idle node the next of its units, and closes what nothing is left of.
func (c *controller) dispatchReplay() {
	c.idle = slices.DeleteFunc(c.idle, c.replayNext)
	for _, t := range c.pools {
		c.endReplay(t)
	}
}

// replayNext gives n the next of its units that there is something of, and reports whether it did.
// It does not while the package is being built or a test of the unit runs elsewhere.
func (c *controller) replayNext(n *node) bool {
	for len(c.replay.queues[n.id]) > 0 {
		u := c.replay.queues[n.id][0]
		p := n.pool.pkgs[u.Package]
		if p == nil || p.state == pkgExpected {
			return false
		}
		if p.state == pkgRunnable {
			items, ok := p.existing(u)
			if ok {
				var taken policy.Unit
				if taken, ok = p.pool.policy.Take(policy.NodeID(n.id), p.num, items); ok {
					taken.Whole = p.entire && len(items) == len(p.names) && c.replay.left[p.path] == 1 && p.units == 0 && !isPart(u)
					c.replay.pop(n.id)
					c.assign(n, taken, recorded{u})
					return true
				}
				if len(p.jobs) > 0 {
					return false
				}
			}
		}
		c.replay.pop(n.id)
	}
	return false
}

// existing are the items of a unit that exist. It is false when the unit had tests and none of them
// does.
func (p *pkg) existing(u history.UnitRun) ([]int, bool) {
	var items []int
	for _, test := range topLevels(u) {
		if i, ok := p.index[test]; ok && i < p.missing {
			items = append(items, i)
		}
	}
	return items, len(items) > 0 || len(u.Tests) == 0
}

// isPart reports whether a unit is a part of a test.
func isPart(u history.UnitRun) bool { return len(u.Tests) > 0 && strings.Contains(u.Tests[0], "/") }

// replayed is what the process of a unit is asked for.
func (p *pkg) replayed(taken policy.Unit, u history.UnitRun) (names []string, part *unit.Part) {
	if taken.Whole {
		return nil, nil
	}
	names = []string{}
	for _, i := range taken.Items {
		names = append(names, p.names[i])
	}
	if isPart(u) {
		part = new(unit.Part)
		for _, test := range u.Tests {
			at := strings.LastIndex(test, "/")
			part.Path = strings.Split(test[:at], "/")
			if last := test[at+1:]; last == "..." {
				part.Skip = u.Skip
			} else {
				part.Only = append(part.Only, last)
			}
		}
	}
	return names, part
}

// endReplay closes the packages of a pool that has no unit left to run: what has no verdict then
// lost its gateway.
func (c *controller) endReplay(t *pool) {
	for id, units := range c.replay.queues {
		if n := c.nodes[id]; len(units) > 0 && (n == nil || n.pool == nil || n.pool == t) {
			return
		}
	}
	for _, p := range c.pkgs {
		if p.pool == t && p.state == pkgRunnable && len(p.jobs) == 0 {
			t.policy.Drop(p.num)
			c.settleRest(p, "the gateway that was to replay it ended")
			c.close(p)
		}
	}
}

// putBack returns the unit of a node that is lost to the queue.
func (c *controller) putBack(n *node) {
	if n.job == nil {
		return
	}
	if u, ok := n.job.errand.(recorded); ok {
		c.replay.putBack(n.id, u.UnitRun)
	}
}

// concludeReplayed says what becomes of the items of n's job. Those that are in units to come go
// back to pending.
func (c *controller) concludeReplayed(n *node, end jobEnd) policy.Outcome {
	j, p := n.job, n.job.pkg
	var out policy.Outcome
	for _, i := range j.unit.Items {
		it := j.items[p.names[i]]
		again := c.replay.owes(p.id(i)) && !j.stopped()
		c.settleReplayed(n, i, it, end, again)
		if again {
			p.remember(i, it)
			out.Requeue = append(out.Requeue, i)
			continue
		}
		d := policy.ItemTime{Item: i}
		if it != nil {
			d.Elapsed = it.elapsed
		}
		out.Done = append(out.Done, d)
	}
	c.flushStrangers(n)
	return out
}

// settleReplayed gives an item its verdict that the events of its process have not given it. again
// says that it will run once more.
func (c *controller) settleReplayed(n *node, i int, it *itemRun, end jobEnd, again bool) {
	p, name := n.job.pkg, n.job.pkg.names[i]
	had := p.verdicts[i]
	switch {
	case (end.died() || end.lost()) && name == end.culprit && !n.job.stopped() && had == "":
		c.crash(n, i, it, end)
	case (end.died() || end.lost()) && name == end.culprit && !n.job.stopped() && had != event.Fail && had != event.Crash:
		c.worsenReplayed(n, i, it, event.Crash)
	case had != "":
	case name == end.cutOff:
		c.passCutOff(n, i, it)
	case it != nil && it.rounds > 0 && !it.open() && (end.kind == endInOrder || it.failed()):
		c.book(n, i, it)
		c.flush(n, it)
	case again:
	case n.job.stopped():
		c.cutShort(n, i, it, c.stopped)
	case end.failed:
		c.cutShort(n, i, it, "the process ended before it: "+end.how)
	default:
		c.cutShort(n, i, it, "its process exited 0 without running it")
	}
}

// worsenReplayed takes a failure of an item that an earlier unit has passed. Its events have been
// shown as they were then, so that its output is the package's now.
func (c *controller) worsenReplayed(n *node, i int, it *itemRun, v event.Verdict) {
	p := n.job.pkg
	c.ledger.replace(p, i, v)
	c.fail()
	p.failed = true
	c.packageOutput(p, fmt.Sprintf("xdist: %s failed in a later unit of the replay:\n", p.names[i]))
	for _, e := range it.events {
		if e.Action == test2json.ActionOutput && it.before.has(e) {
			c.packageOutput(p, e.Output)
		}
	}
}

// remember keeps what a unit has shown of an item that is in a unit to come.
func (p *pkg) remember(i int, it *itemRun) {
	if it == nil {
		return
	}
	if p.remnants == nil {
		p.remnants = make(map[string]remnant)
	}
	p.remnants[p.names[i]] = remnantOf(it.before, it.shown)
}

package scheduler

import (
	"slices"
	"time"

	"github.com/xdist-go/xdist/scheduler/attempt"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Whether a package is worth splitting shows while it runs. One of which nobody knows what it takes
// is probed: its parts run as the plan has them, and what they show is held until it is clear.

// stage is how far a package has come in showing whether it may be split.
type stage int

const (
	stageWhole   stage = iota // it runs in one process
	stageProbing              // nobody knows what it takes: what its parts show is held
	stageSplit                // it is known to take long: what its parts show counts
	stageProof                // it was split and is quick: the whole will show it
)

// firstStage is the stage in which a package begins, of which the plan says whether it is whole.
func (c *controller) firstStage(p *pkg, whole bool) stage {
	if whole || c.replay != nil || c.cfg.Dist == DistLoadScope || c.cfg.Dist == DistEach || c.cfg.Dist == DistNo {
		return stageWhole
	}
	if c.proof > 0 && p.mayRunWhole() && slices.Contains(p.expected, 0) {
		return stageProbing
	}
	return stageSplit
}

// brief reports whether all of the package is known to take so little that splitting it is not
// worth a doubt.
func (c *controller) brief(p *pkg) bool {
	if !p.mayRunWhole() || slices.Contains(p.expected, 0) {
		return false
	}
	return p.estimate(0) <= c.proof
}

// observe takes note of what a unit's items took, and of what follows for the package.
func (c *controller) observe(p *pkg) {
	if p.stage != stageProbing {
		return
	}
	switch {
	case p.ran == 0:
	case p.spent > c.proof, 4*p.ran >= len(p.names) && p.estimate(0) > 3*c.proof, !p.mayRunWhole():
		c.split(p)
	case p.estimate(surprise) <= c.proof:
		p.stage = stageProof
		p.pool.policy.Park(p.num)
	}
}

// mended keeps that an item has passed in the whole which was red there.
func (c *controller) mended(p *pkg, i int, made attempt.Before, v event.Verdict) {
	if made != attempt.Whole || v != event.Pass && v != event.Skip {
		return
	}
	if c.wasRed(p, i) {
		p.red(i, false)
	}
}

// wasRed reports whether an item failed in the whole when it was last there, and passed elsewhere.
func (c *controller) wasRed(p *pkg, i int) bool {
	known, _ := c.cfg.History.Test(p.pool.supply.name, p.path, p.names[i])
	return known.Red
}

// probed says that a package has been probed for as long as one may take that runs whole.
type probed struct{ *pkg }

// endProbing shows what was held of a package that takes longer than it might have.
func (c *controller) endProbing(p *pkg) {
	if p.stage != stageProbing {
		return
	}
	c.split(p)
	for _, n := range c.nodes {
		if n.job == nil || n.job.pkg != p || n.job.made != attempt.Unit {
			continue
		}
		for name, it := range n.job.items {
			if i, ok := p.index[name]; ok && it.fate == fateHeld && p.trials[i] == nil && it.open() && it.begun == nil && !it.dying {
				if it.fate = fateShown; it.streamed {
					c.flush(n, it)
				}
			}
		}
	}
}

// split has what the parts of a package show count from now on, and what they have shown.
func (c *controller) split(p *pkg) {
	p.stage = stageSplit
	var items []int
	for i, t := range p.trials {
		if t.Tries() == 0 && t.said.verdict == event.Pass && !t.said.lacks && !c.wasRed(p, i) {
			items = append(items, i)
		}
	}
	for i, t := range p.trials {
		switch said := t.said.verdict; {
		case said == event.Pass && !t.said.lacks && c.wasRed(p, i):
			t.next = attempt.Attempt{Around: attempt.Host, Before: attempt.Whole}
		case said == event.Skip, said == event.Pass && t.said.lacks:
			t.next = attempt.Attempt{Around: attempt.Nothing, Before: attempt.Bare}
			c.isolate(p)
		case (said == event.Fail || said == event.Crash) && !p.spare():
			t.next = attempt.Attempt{Around: attempt.Host, Before: attempt.Begun}
		}
	}
	slices.Sort(items)
	items = p.pool.policy.Withdraw(p.num, items)
	for _, i := range items {
		c.settleSaid(p, i, p.trials[i])
		delete(p.trials, i)
	}
}

// surprise is what a test may last of a package of which few have run.
const surprise = time.Second

// estimate is what all tests of the package take in one process, from those that have run. Those of
// which nothing is known are taken to be alike, and one more to have lasted as long as extra.
func (p *pkg) estimate(extra time.Duration) time.Duration {
	var sum time.Duration
	unknown := 0
	for i := range p.names {
		switch {
		case p.took[i] > 0:
			sum += p.took[i]
		case p.expected[i] > 0:
			sum += p.expected[i]
		default:
			unknown++
		}
	}
	seen := p.ran
	if extra > 0 {
		seen++
	}
	return sum + time.Duration(unknown)*(p.spent+extra)/time.Duration(max(1, seen))
}

// spare reports whether there is time for a run of the whole package, which go test makes too.
func (p *pkg) spare() bool {
	total := p.estimate(surprise)
	running := time.Since(p.start)
	return p.mayRunWhole() && p.ran > 0 && total <= spareWhole && running <= spareTime+time.Duration(sparePart*float64(total))
}

// mayRunWhole reports whether one process can run all of the package, on one node as on another.
func (p *pkg) mayRunWhole() bool {
	return p.crashes == 0 && len(p.divisions) == 0 && p.families <= 1 && (!p.partial || fits(p.names))
}

// fits reports whether a command line holds the names.
func fits(names []string) bool {
	bytes := 0
	for _, name := range names {
		bytes += len(name) + 1
	}
	return bytes <= maxContext
}

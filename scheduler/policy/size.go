package policy

import (
	"math"
	"time"
)

// The numbers below were tuned by playing the suites of testdata, in their recorded and in shuffled
// orders.
const (
	// defaultTarget keeps the loss small when a crash takes a unit along, and leaves something to
	// divide late in a run.
	defaultTarget = 500 * time.Millisecond

	// leastCost is what an item costs at least: its events have to be sent.
	leastCost = 20 * time.Microsecond

	// fairShare is how many units each node would still get if all were as large as the next, and
	// unknownShare where durations are not known.
	fairShare    = 2
	unknownShare = 3
	// fineShare: a unit that lasts this part of the whole run is small enough to level out the end
	// of it, where durations are not known.
	fineShare = 20
	// knownShare is the same where they are known.
	knownShare = 100
	// fineItems: nor is a unit made smaller than this part of its package for each node, by number
	// of items.
	fineItems = 10
	// A package that was not seen gives 1/sampleShare of what a node has to do first, or
	// sampleItems divided by the nodes.
	sampleShare = 32
	sampleItems = 32

	// riskShare: what the items of a unit may last, if all of them are long, is this part of what a
	// node has to do.
	riskShare = 10
	// cheapShare: where a process costs more than its items do, as far as is known, this part of
	// what a node has to do, by number, is no risk.
	cheapShare = 20
	// fewNodes: on n nodes fewNodes/n² items are no risk. One node has to run all of them, and two
	// are seldom uneven.
	fewNodes = 128

	// A process that costs more than cheapProcess, and more than a fine part of the run, must do at
	// least overheadShare times its cost.
	cheapProcess  = 8 * time.Millisecond
	overheadShare = 8

	// A node goes on with its package when the longest item there is at least keepNum/keepDen of
	// the longest there is.
	keepNum, keepDen = 3, 4
)

// total is the work that is not done and not in flight, as far as it can be told.
func (p *Policy) total() time.Duration {
	items := p.blank + p.expectItems
	if p.expectCost > 0 {
		items = p.blank // what is expected is known
	}
	return p.left + p.expectCost + time.Duration(items)*p.seen.perItem(guessItems) +
		time.Duration(p.expectPackages)*p.seen.perUnit(guessOverhead)
}

// goal is how much work of known cost the next unit of n should be.
func (p *Policy) goal(n *node) time.Duration {
	left := p.total()
	speed := n.speed()
	fine := time.Duration(float64(left+p.done) / (knownShare * p.speeds.sum) * speed)
	even := time.Duration(float64(left) / (fairShare * p.speeds.sum) * speed)
	return max(fine, min(even, p.cfg.Target), 2*guessOverhead)
}

// unitGoal is goal for a unit of k, whose processes may cost more. That its binary may have to be
// sent first makes no difference: that is paid once and serves all nodes of the host, which would
// have nothing of a unit that is worth it. Weighed as the cost of a process it made runs up to four
// times as long.
func (p *Policy) unitGoal(n *node, k *pkg) time.Duration {
	goal := p.goal(n)
	if o := p.overhead(k); o > max(cheapProcess, goal/overheadShare) {
		return max(goal, overheadShare*o)
	}
	return goal
}

// limit is how long an item may last for n to take it, or 0: where the faster nodes would have done
// all there is before n were done with it, it is left to them. The fastest nodes have no limit, so
// that everything is taken in the end.
func (p *Policy) limit(n *node, sh *shelf) time.Duration {
	if len(sh.requires) > 0 || n.owns(sh) {
		return 0
	}
	faster := p.speeds.faster(n)
	if faster == 0 {
		return 0
	}
	work, margin := float64(p.total()+p.flight/2), p.errors.margin()
	together, without := work/p.speeds.sum, work/faster
	rest := together + (without-together)/(margin*margin)
	return max(1, time.Duration(rest*n.speed()/margin))
}

// sameSpeed: a node that is slower by less than this takes what it gets.
const sameSpeed = 1.25

// guess is what an item of unknown cost counts for in a unit of the given length.
func (p *Policy) guess(k *pkg, goal time.Duration) time.Duration {
	return max(1, goal/time.Duration(p.size(k)))
}

// size is how many items of unknown cost the next unit of k should have.
func (p *Policy) size(k *pkg) int {
	nodes := len(p.nodes)
	items := p.pending + p.expectItems
	left := p.total()

	// A unit below worth saves nothing at the end of the run, or spends too much on its process.
	fine := (left + p.done) / time.Duration(fineShare*nodes)
	worth := fine
	risky := p.risky(k, left/time.Duration(riskShare*nodes))
	if o := p.overhead(k); o > max(cheapProcess, fine) {
		worth = overheadShare * o
		risky = max(risky, int(worth/max(leastCost, p.itemCost(k))))
	}
	if cheap := int(p.overhead(k) / max(leastCost, p.itemCost(k))); cheap > risky {
		risky = max(risky, min(cheap, items/(cheapShare*nodes)))
	}
	if k.seen.items == 0 && k.neighbours == 0 {
		sample := sampleItems / nodes
		if even := (len(k.Items) + unknownShare*nodes - 1) / (unknownShare * nodes); nodes > 1 && even > 1 && p.done == 0 && items <= len(k.Items) {
			sample = min(sample, even) // where it is all there is, no node is to have many more than another
		}
		return min(risky, max(1, items/(sampleShare*nodes), sample, int(worth/p.seen.rms())))
	}
	cost := max(leastCost, p.itemCost(k))
	goal := max(worth, min(left/time.Duration(unknownShare*nodes), p.cfg.Target))
	limit := max(items/(unknownShare*nodes), int(worth/cost))
	return min(risky, max(1, min(int(goal/cost), limit), len(k.Items)/(fineItems*nodes)))
}

// risky is how many items of unknown cost a unit of k may have, because two long ones in it would
// be one too many: all of them long, they may last share. As many as half of those seen may also
// come if they last no longer than these did.
func (p *Policy) risky(k *pkg, share time.Duration) int {
	n := max(1, fewNodes/(len(p.nodes)*len(p.nodes)), int(share/p.tail(k)))
	if k.seen.items == 0 {
		return n
	}
	rms := math.Sqrt(k.seen.squares / float64(k.seen.items))
	return max(n, min((k.seen.items+1)/2, int(share.Seconds()/max(rms, leastCost.Seconds()))))
}

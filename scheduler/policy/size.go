package policy

import (
	"math"
	"time"
)

// The numbers below were tuned by playing the suites of testdata, in their recorded and in shuffled orders.
const (
	// defaultTarget keeps the loss small when a crash takes a unit along, and leaves something to divide late in a run.
	defaultTarget = 500 * time.Millisecond

	// Before anything was seen, guessItems tests are taken to have lasted surprise together. In a package with n tests seen, the next one lasts
	// surprise with a chance of 1 in n+1: the quick tests end first, so a mean alone is always too low.
	surprise   = time.Second
	guessItems = 10
	// guessOverhead is the cost of a process, before any was seen: its start is 1 ms, a plain init little more.
	guessOverhead = 5 * time.Millisecond

	// fairShare is how many units each node would still get if all were as large as the next.
	fairShare = 2
	// fineShare: a unit that lasts this part of the whole run is small enough to level out the end of it.
	fineShare = 20
	// fineItems: nor is a unit made smaller than this part of its package for each node, by number of items.
	fineItems = 10
	// A package that was not seen gives 1/sampleShare of what a node has to do first, or sampleItems divided by the nodes.
	sampleShare = 32
	sampleItems = 32

	// A process that costs more than cheapProcess, and more than a fine part of the run, must do at least overheadShare times its cost.
	cheapProcess  = 8 * time.Millisecond
	overheadShare = 8
)

// sample sums up what was seen of a package, or of all of them.
type sample struct {
	items    int
	time     time.Duration
	squares  float64 // of seconds
	units    int
	overhead time.Duration
}

func (s *sample) add(out Outcome) {
	for _, d := range out.Done {
		s.time += max(0, d.Elapsed)
		s.squares += d.Elapsed.Seconds() * d.Elapsed.Seconds()
	}
	s.items += len(out.Done)
	s.units++
	s.overhead += max(0, out.Overhead)
}

// perItem is what the next item is expected to cost when guessed items with a total of surprise had been seen too. It is never 0.
func (s *sample) perItem(guessed int) time.Duration {
	return (s.time + surprise) / time.Duration(s.items+guessed)
}

// rms is the root mean square of the items' durations, well above their mean when they differ much.
func (s *sample) rms() time.Duration {
	mean := (s.squares + surprise.Seconds()*surprise.Seconds()) / float64(s.items+guessItems)
	return time.Duration(math.Sqrt(mean) * float64(time.Second))
}

func (s *sample) perUnit(prior time.Duration) time.Duration {
	return (s.overhead + prior) / time.Duration(s.units+1)
}

func (p *Policy) learn(k *pkg, out Outcome) {
	p.seen.add(out)
	k.seen.add(out)
}

func (p *Policy) itemCost(k *pkg) time.Duration {
	if k.seen.items == 0 {
		return p.seen.perItem(guessItems)
	}
	return k.seen.perItem(1)
}

// settle brings freshItems and left up to date with k.
func (p *Policy) settle(k *pkg) {
	p.freshItems -= k.fresh
	p.left -= k.left
	k.fresh, k.left = 0, 0
	if !k.started {
		k.fresh = len(k.rest)
	} else {
		k.left = time.Duration(k.pending()) * p.itemCost(k)
	}
	p.freshItems += k.fresh
	p.left += k.left
}

// size is how many items the next unit of k should have.
func (p *Policy) size(k *pkg) int {
	nodes := len(p.nodes)
	items := p.pending + p.expectItems
	left := p.left + time.Duration(p.freshItems+p.expectItems)*p.seen.perItem(guessItems) +
		time.Duration(p.expectPackages)*p.seen.perUnit(guessOverhead)

	// A unit below worth saves nothing at the end of the run, or spends too much on its process.
	fine := (left + p.seen.time) / time.Duration(fineShare*nodes)
	worth := fine
	if o := k.seen.perUnit(p.seen.perUnit(guessOverhead)); o > max(cheapProcess, fine) {
		worth = overheadShare * o
	}
	if k.seen.items == 0 {
		return max(1, items/(sampleShare*nodes), sampleItems/nodes, int(worth/p.seen.rms()))
	}
	cost := k.seen.perItem(1)
	goal := max(worth, min(left/time.Duration(fairShare*nodes), p.cfg.Target))
	limit := max(items/(fairShare*nodes), int(worth/cost))
	return max(1, min(int(goal/cost), limit), len(k.Names)/(fineItems*nodes))
}

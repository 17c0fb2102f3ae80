package policy

import (
	"math"
	"os"
	"slices"
	"strconv"
	"time"
)

var (
	cheap = 8 * time.Millisecond

	minSample = 32
	surprise  = time.Second
	// defaultTarget keeps the loss small when a crash takes a unit along, and leaves something to divide late in a run.
	defaultTarget = time.Second
	// guessItem and guessOverhead stand for what nobody has seen yet.
	guessItem     = 30 * time.Millisecond
	guessOverhead = 5 * time.Millisecond
	guessWeight   = 10
	// share is how many units of the fair size each node would get of the work that is left.
	share = 2
	// maxOverhead: a unit is at least this many times as long as its process's own cost.
	maxOverhead = 8
	grain       = 20
	sampleShare = 8
	growth      = 2
)

// sample sums up what was seen of a package, or of all.
type sample struct {
	items    int
	time     time.Duration
	units    int
	overhead time.Duration
	square   float64
}

func (s *sample) add(out Outcome) {
	for _, d := range out.Done {
		s.time += d.Elapsed
		s.square += d.Elapsed.Seconds() * d.Elapsed.Seconds()
	}
	s.items += len(out.Done)
	s.units++
	s.overhead += out.Overhead
}

// perItem is the mean over what was seen, with prior as if it had been seen guessWeight times.
func (s *sample) perItem(prior time.Duration) time.Duration {
	return (s.time + time.Duration(guessWeight)*prior) / time.Duration(s.items+guessWeight)
}

func (s *sample) perUnit(prior time.Duration) time.Duration {
	return (s.overhead + prior) / time.Duration(s.units+1)
}

func (p *Policy) learn(k *pkg, out Outcome) {
	p.seen.add(out)
	k.seen.add(out)
}

// settle brings the estimates up to date with k.
func (p *Policy) settle(k *pkg) {
	if !k.started {
		p.freshItems += len(k.rest) - k.counted
		k.counted = len(k.rest)
		return
	}
	p.freshItems -= k.counted
	k.counted = 0
	n := len(k.rest)
	for _, b := range k.again {
		n += len(b)
	}
	p.left -= k.left
	k.left = time.Duration(n) * p.itemCost(k)
	p.left += k.left
}

// cut takes the next unit of k out of what is pending.
func (p *Policy) cut(k *pkg) Unit {
	u := Unit{Package: k.ID}
	batch := &k.rest
	if len(k.again) > 0 {
		batch = &k.again[0]
	}
	n := len(*batch)
	if os.Getenv("XDparts") != "" && len(k.again) == 0 && n < len(k.Names) && !k.exclusive {
		P, _ := strconv.Atoi(os.Getenv("XDparts"))
		return p.cutParts(k, P)
	}
	if n == len(k.Names) && (k.exclusive || n <= p.size(k)) {
		u.Items, u.Whole = *batch, true
		*batch = nil
	} else {
		if !k.exclusive {
			n = min(n, p.size(k))
		}
		n = p.fit(k, (*batch)[:n])
		u.Items = (*batch)[:n:n]
		*batch = (*batch)[n:]
	}
	if len(k.again) > 0 && len(k.again[0]) == 0 {
		k.again = k.again[1:]
	}
	return u
}

// fit is how many of the items a command line holds, at least one.
func (p *Policy) fit(k *pkg, items []int) int {
	bytes := 0
	for i, item := range items {
		bytes += len(k.Names[item]) + 1
		if bytes > p.cfg.MaxBytes && i > 0 {
			return i
		}
	}
	return len(items)
}

// size is how many items the next unit of k should have.
func (p *Policy) size(k *pkg) int {
	nodes := max(1, len(p.nodes))
	items := p.pending + p.expectItems
	left := p.left + time.Duration(p.freshItems+p.expectItems)*p.general()
	slack := (left + p.seen.time) / time.Duration(grain*nodes)
	o := k.seen.perUnit(p.seen.perUnit(guessOverhead))
	goal := min(left/time.Duration(share*nodes), p.cfg.Target)
	goal = max(goal, slack)
	floor := time.Duration(0)
	if o > max(cheap, slack) {
		floor = time.Duration(maxOverhead) * o
	}
	var n int
	if k.seen.items == 0 {
		n = max(items/(sampleShare*nodes), minSample/nodes, int(max(floor, slack)/p.pess()))
	} else {
		c := p.itemCost(k)
		n = min(int(max(goal, floor)/c), max(items/(share*nodes), min(int(max(floor, slack)/c), growth*k.seen.items)))
	}
	n = max(n, 1)
	if rest := len(k.rest); n < rest && rest < n+n/2 {
		n = rest
	}
	return n
}

func (p *Policy) pess() time.Duration {
	s := surprise.Seconds()
	return time.Duration(math.Sqrt((p.seen.square+s*s)/float64(p.seen.items+guessWeight)) * 1e9)
}

func (p *Policy) general() time.Duration {
	return (p.seen.time + surprise) / time.Duration(p.seen.items+guessWeight)
}

func (p *Policy) itemCost(k *pkg) time.Duration {
	if k.seen.items == 0 {
		return p.general()
	}
	return (k.seen.time + surprise) / time.Duration(k.seen.items+1)
}

func (p *Policy) cutParts(k *pkg, P int) Unit {
	n := min(len(k.rest), p.size(k))
	if k.cursor >= len(k.rest) {
		k.cursor = 0
	}
	c := min(k.cursor, len(k.rest)-n)
	u := Unit{Package: k.ID, Items: slices.Clone(k.rest[c : c+n])}
	k.rest = slices.Delete(k.rest, c, c+n)
	k.cursor += len(k.Names) * 5 / (P * 5)
	return u
}

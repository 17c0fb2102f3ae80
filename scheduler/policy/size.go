package policy

import "time"

var (
	// defaultTarget keeps the loss small when a crash takes a unit along, and leaves something to divide late in a run.
	defaultTarget = time.Second
	// guessItem and guessOverhead stand for what nobody has seen yet.
	guessItem     = 30 * time.Millisecond
	guessOverhead = 5 * time.Millisecond
	guessWeight   = 4
	// share is how many units of the fair size each node would get of the work that is left.
	share = 2
	// maxOverhead: a unit is at least this many times as long as its process's own cost.
	maxOverhead = 8
	maxSample   = 32
	growth      = 2
)

// sample sums up what was seen of a package, or of all.
type sample struct {
	items    int
	time     time.Duration
	units    int
	overhead time.Duration
}

func (s *sample) add(out Outcome) {
	for _, d := range out.Done {
		s.time += d.Elapsed
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

func (p *Policy) itemCost(k *pkg) time.Duration {
	return k.seen.perItem(p.seen.perItem(guessItem))
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
	general := p.seen.perItem(guessItem)
	item := k.seen.perItem(general)
	nodes := max(1, len(p.nodes))
	left := p.left + time.Duration(p.freshItems+p.expectItems)*general
	goal := left / time.Duration(share*nodes)
	goal = min(goal, p.cfg.Target)
	goal = max(goal, time.Duration(maxOverhead)*k.seen.perUnit(p.seen.perUnit(guessOverhead)))
	n := max(1, int(goal/max(item, 1)))
	limit := min(maxSample, (p.pending+p.expectItems)/(share*nodes))
	limit = max(limit, growth*k.seen.items, 1)
	n = min(n, limit)
	if rest := len(k.rest); n < rest && rest < n+n/2 {
		n = rest
	}
	return n
}

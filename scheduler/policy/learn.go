package policy

import (
	"math"
	"slices"
	"time"
)

const (
	// Before anything was seen, guessItems tests are taken to have lasted surprise together. In a
	// package with n tests seen, the next one lasts surprise with a chance of 1 in n+1: the quick
	// tests end first, so a mean alone is always too low.
	surprise   = time.Second
	guessItems = 10
	// Whatever was seen of other packages, an item may last surprise/surpriseShare until something
	// was seen of its own.
	surpriseShare = 3
	// guessOverhead is the cost of a process, before any was seen: its start is 1 ms, a plain init
	// little more.
	guessOverhead = 5 * time.Millisecond
	// neighbourItems is how many seen items the known costs of a package count for, in the estimate
	// of its items of unknown cost.
	neighbourItems = 3
	// trust is how much work must have been seen before the ratio of seen to expected counts for as
	// much as 1 does.
	trust = 500 * time.Millisecond
	// clearCost is a duration that clocks and a busy machine do not blur.
	clearCost = 10 * time.Millisecond
	// Before anything was seen, known costs are taken to be off by a factor of two, as if
	// priorItems had shown it. Sureness is how many deviations a test may be off.
	priorDeviation = 0.65
	priorItems     = 10
	sureness       = 1.7
	// doubtful is by how much what nobody knows may exceed what it is feared to last, where work is
	// left to hosts that have its binary.
	doubtful = 2
	// paceDeviations is how many standard errors a host must be off to be believed to be slower or
	// faster than AddNode was told.
	paceDeviations = 3
)

// estimates is what the Policy believes about the work and the nodes.
type estimates struct {
	seen   sample        // of items of unknown cost, all packages
	blank  int           // pending items of packages of which nothing is known
	left   time.Duration // estimate of all else that is pending
	flight time.Duration // estimate of what is in flight
	done   time.Duration // what was seen in all
	ratio  ratio         // of all packages
	errors deviation     // of the known costs
	speeds speeds
}

// learned is what is believed of one package.
type learned struct {
	seen       sample        // of its items of unknown cost, and all its processes
	ratio      ratio         // of its items of known cost
	neighbours time.Duration // mean of the known costs; 0 when there are none
}

// expect sums up what is known of a new package.
func (k *pkg) expect() {
	n := 0
	for _, it := range k.Items {
		if it.Cost > 0 {
			k.neighbours += it.Cost
			n++
		}
	}
	if n > 0 {
		k.neighbours = max(1, k.neighbours/time.Duration(n))
	}
}

// sample sums up what was seen of a package, or of all of them.
type sample struct {
	items    int
	time     time.Duration
	squares  float64 // of seconds
	units    int
	overhead time.Duration
}

func (s *sample) add(d time.Duration) {
	s.time += d
	s.squares += square(d)
	s.items++
}

// perItem is what the next item is expected to cost when guessed items with a total of surprise had
// been seen too. It is never 0.
func (s *sample) perItem(guessed int) time.Duration {
	return (s.time + surprise) / time.Duration(s.items+guessed)
}

// rms is the root mean square of the items' durations, well above their mean when they differ much.
func (s *sample) rms() time.Duration {
	return time.Duration(math.Sqrt((s.squares+square(surprise))/float64(s.items+guessItems)) * float64(time.Second))
}

// square is d², in seconds.
func square(d time.Duration) float64 { return float64(d) / 1e9 * (float64(d) / 1e9) }

func (s *sample) perUnit(prior time.Duration) time.Duration {
	return (s.overhead + prior) / time.Duration(s.units+1)
}

// ratio is how much of something was seen to how much was expected.
type ratio struct{ seen, expected time.Duration }

// factor is the ratio, drawn towards prior as long as little was seen.
func (r ratio) factor(prior float64) float64 {
	return (float64(r.seen) + prior*float64(trust)) / (float64(r.expected) + float64(trust))
}

// deviation is how far off the known costs are: of the logarithms of seen to expected.
type deviation struct{ n, sum, squares float64 }

func (v *deviation) add(seen, expected time.Duration) {
	if min(seen, expected) < clearCost {
		return
	}
	l := math.Log(float64(seen) / float64(expected))
	v.n++
	v.sum += l
	v.squares += l * l
}

// sd is their standard deviation. It starts with a belief that costs are as wrong as
// priorDeviation.
func (v *deviation) sd() float64 {
	around := v.squares
	if v.n > 0 {
		around -= v.sum * v.sum / v.n
	}
	return math.Sqrt(max(0, around+priorDeviation*priorDeviation*priorItems) / (v.n + priorItems))
}

// mean is their mean, 0 when there are none.
func (v *deviation) mean() float64 { return v.sum / max(1, v.n) }

// margin is what to multiply an expected duration with, to be rather sure that it does not last
// longer.
func (v *deviation) margin() float64 { return math.Exp(sureness * v.sd()) }

// pace is what was seen of the speed of a host.
type pace struct {
	deviation         // of its times, had its nodes the speeds that AddNode was told
	factor    float64 // by which they are corrected
}

func (n *node) speed() float64 { return n.given * n.host.pace.factor }

// correct changes the speed of a host by what was seen, where that is too much for chance and makes
// a difference.
func (p *Policy) correct(h *host) {
	off := h.pace.mean() - p.errors.mean()
	factor := 1.0
	if math.Abs(off) > paceDeviations*p.errors.sd()/math.Sqrt(h.pace.n) {
		factor = math.Exp(-off)
	}
	if change := factor / h.pace.factor; change < sameSpeed && change > 1/sameSpeed {
		return
	}
	for _, n := range h.members {
		p.rate(n, -1)
	}
	h.pace.factor = factor
	for _, n := range h.members {
		p.rate(n, 1)
	}
}

// speedClasses is how many classes of speeds there are. The one in the middle is of speed 1, and
// each is sameSpeed faster than the one before.
const speedClasses = 128

// speeds sums up how fast the nodes are.
type speeds struct {
	sum   float64
	class [speedClasses]struct {
		nodes int
		sum   float64
	}
}

func speedClass(v float64) int {
	return min(max(speedClasses/2+int(math.Round(math.Log(v)/math.Log(sameSpeed))), 0), speedClasses-1)
}

// add adds the speed of a node, or takes it away when sign is -1.
func (v *speeds) add(n *node, sign int) {
	c := &v.class[speedClass(n.speed())]
	c.nodes += sign
	c.sum += float64(sign) * n.speed()
	v.sum += float64(sign) * n.speed()
	if c.nodes == 0 {
		c.sum = 0
	}
}

// faster is the sum of the speeds of nodes that are clearly faster than n.
func (v *speeds) faster(n *node) float64 {
	sum := 0.0
	for _, c := range v.class[speedClass(n.speed())+1:] {
		sum += c.sum
	}
	return sum
}

// learn takes note of what a unit took on n.
func (p *Policy) learn(n *node, k *pkg, out Outcome) {
	speed := n.speed()
	for _, d := range slices.Concat(out.Done, out.Ran) {
		work := time.Duration(float64(max(0, d.Elapsed)) * speed)
		p.done += work
		if c := k.Items[d.Item].Cost; c > 0 {
			k.ratio.seen += work
			k.ratio.expected += c
			p.ratio.seen += work
			p.ratio.expected += c
			p.errors.add(work, c)
			n.host.pace.add(time.Duration(float64(d.Elapsed)*n.given), c)
		} else {
			p.seen.add(work)
			k.seen.add(work)
		}
	}
	if n.host.pace.n > 0 {
		p.correct(n.host)
	}
	overhead := max(0, out.Overhead)
	p.seen.units++
	p.seen.overhead += overhead
	k.seen.units++
	k.seen.overhead += overhead
}

// overhead is what a process of k costs.
func (p *Policy) overhead(k *pkg) time.Duration {
	if k.ProcessCost > 0 {
		return k.seen.perUnit(k.ProcessCost)
	}
	return k.seen.perUnit(p.seen.perUnit(guessOverhead))
}

// itemCost is what an item of unknown cost is expected to cost.
func (p *Policy) itemCost(k *pkg) time.Duration {
	switch {
	case k.neighbours > 0:
		return (k.seen.time + neighbourItems*k.neighbours) / time.Duration(k.seen.items+neighbourItems)
	case k.seen.items == 0:
		return p.seen.perItem(guessItems)
	}
	return k.seen.perItem(1)
}

// scaled corrects a known cost by what was seen of the package.
func (p *Policy) scaled(k *pkg, cost time.Duration) time.Duration {
	return time.Duration(float64(cost) * k.ratio.factor(p.ratio.factor(1)))
}

// expected is what a known item is expected to last.
func (p *Policy) expected(s *family, item int) time.Duration {
	return p.scaled(s.k, s.k.Items[item].Cost)
}

// workOf is what the items are expected to cost.
func (p *Policy) workOf(k *pkg, items []int) time.Duration {
	sum := p.overhead(k)
	guess := p.itemCost(k)
	for _, i := range items {
		if c := k.Items[i].Cost; c > 0 {
			sum += p.scaled(k, c)
		} else {
			sum += guess
		}
	}
	return sum
}

// longest is what the longest item of the family may last: the longest that is known, or what one
// that is not known may come to.
func (p *Policy) longest(s *family) time.Duration {
	var out time.Duration
	if len(s.known) > 0 {
		out = p.expected(s, s.known[0])
	}
	if len(s.fresh) > 0 {
		risk := p.tail(s.k)
		if s.k.seen.items == 0 {
			risk /= time.Duration(1 + s.k.units) // another package tells more
		}
		out = max(out, risk+time.Duration(len(s.fresh)))
	}
	return out
}

// manyItems: when as many items have been seen and none was long, another that is has become half
// as likely.
const manyItems = 1000

// tail is what an item of unknown cost may last.
func (p *Policy) tail(k *pkg) time.Duration {
	const weight = 3
	prior := 2 * k.neighbours
	if prior <= 0 {
		prior = max(p.seen.rms(), surprise/surpriseShare*manyItems/time.Duration(manyItems+p.seen.items))
	}
	mean := (k.seen.squares + weight*square(prior)) / float64(k.seen.items+weight)
	return max(1, time.Duration(math.Sqrt(mean)*float64(time.Second)))
}

// freshFirst reports whether the items of unknown cost of a family go before those of known cost.
func (p *Policy) freshFirst(s *family) bool {
	return p.tail(s.k) >= p.expected(s, s.known[0])
}

// firmness is the work that hangs together with the family.
func (p *Policy) firmness(s *family) time.Duration {
	work := s.left + time.Duration(s.blank)*p.itemCost(s.k)
	if s.group != nil {
		work = max(work, s.group.left)
	}
	return work
}

// settle brings the estimates up to date with the family.
func (p *Policy) settle(s *family) {
	k := s.k
	before := s.left
	p.blank -= s.blank
	p.left -= s.left
	s.blank = 0
	s.left = p.scaled(k, s.cost)
	if k.seen.items == 0 && k.neighbours == 0 {
		s.blank = s.unknown
	} else {
		s.left += time.Duration(s.unknown) * p.itemCost(k)
	}
	p.blank += s.blank
	p.left += s.left
	held := p.scaled(k, s.cost) + time.Duration(s.unknown)*doubtful*p.tail(k)
	k.replicas.pend(held - s.held)
	s.held = held
	if s.group != nil {
		s.group.left += s.left - before
	}
}

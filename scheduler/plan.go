package scheduler

import (
	"regexp"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// What earlier runs taught goes into the plan at two moments: when a platform's packages are
// listed, the sum of their tests says how long a test may be before it is worth dividing, and when
// a package can run, the policy gets what each of its tests is expected to cost.

// provenRuns is how many runs in a row must have split a package without harm for one confirmation
// to be enough.
const provenRuns = 3

// expectAll takes the expected durations of a pool's tests from the history and finds out from
// what on a test is worth dividing.
func (c *controller) expectAll(t *pool) {
	var total time.Duration
	for _, p := range t.pkgs {
		c.setExpected(p)
		for _, cost := range p.expected {
			total += cost
		}
		t.await(p, 1)
	}
	if t.limit = c.cfg.LongTest; t.limit != 0 {
		return
	}
	t.limit = policy.DivideLimit(total, max(t.nodes, len(c.cfg.Specs)/max(1, len(c.pools))))
}

// setExpected fills in what the package's tests are expected to take.
func (c *controller) setExpected(p *pkg) {
	for i, name := range p.names {
		if known, ok := c.cfg.History.Test(p.pool.supply.name, p.path, name); ok {
			p.expected[i] = max(known.Cost, 1) // 0 would be unknown
		}
		p.first = p.first || c.failedLast(p, name)
	}
}

// failedLast reports whether a test is to be given out before others, as it failed when it ran
// last. A package that failed by itself has failed with all of its tests.
func (c *controller) failedLast(p *pkg, test string) bool {
	h := c.cfg.History
	return c.cfg.FailedFirst && (h.Package(p.pool.supply.name, p.path).Broken || h.LastFailed(p.pool.supply.name, p.path, test))
}

// plan is the package as the policy is to know it: its tests, and behind them the parts of those
// that are divided.
func (c *controller) plan(p *pkg) policy.Package {
	cmd := c.cfg.Command
	grain := cmd.Grain()
	known := c.cfg.History.Package(p.pool.supply.name, p.path)
	items, families := demands(p.items)
	p.families, p.proven = len(families), known.Splits >= provenRuns
	alone := grain == gotest.Alone || cmd.BuildP == 1
	lone := len(c.cfg.Specs) == 1 && c.listening == 0 // nobody to share with
	whole := grain != gotest.Split || p.undivided != "" || known.Serial && p.holds(known.SerialUntil) || c.brief(p) || lone && p.mayRunWhole()
	out := policy.Package{ID: p.num, Items: items, Families: families, ProcessCost: known.ProcessCost}
	switch {
	case alone:
		out.Spread = policy.Alone
	case whole:
		out.Spread = policy.Whole
	case p.serial:
		out.Spread = policy.Serial
	}
	p.stage = c.firstStage(p, whole || alone)
	if c.sizeOf != nil {
		out.Size = c.sizeOf(*p.ready)
	}
	for i := range out.Items {
		out.Items[i].Cost = p.expected[i]
	}
	for i, name := range p.names {
		out.Items[i].First = c.failedLast(p, name)
	}
	for _, d := range families {
		p.pool.choosy = p.pool.choosy || len(d.Requires) > 0
	}
	if c.replay != nil {
		out.Spread, out.Families = policy.Divisible, nil // what is given out is decided
		for i := range out.Items {
			out.Items[i].Family = 0
		}
	} else if !whole && !p.serial && !p.partial {
		c.divide(p)
	}
	for _, d := range p.divisions {
		out.Items[d.test].Dormant = true
		families := make(map[string]int) // of subtests that run alone, by the test they belong to
		for _, part := range d.parts {
			path := strings.Join(part.Path, "/")
			family, ok := families[path]
			if !ok || part.Names == nil {
				family = len(out.Families)
				out.Families = append(out.Families, out.Families[out.Items[d.test].Family])
			}
			if part.Names != nil {
				families[path] = family
			}
			out.Items = append(out.Items, policy.Item{
				Name: path + "/" + regexp.QuoteMeta(strings.Join(part.Names, "|")), Cost: max(part.Cost, 1), Family: family, First: out.Items[d.test].First,
			})
		}
	}
	return out
}

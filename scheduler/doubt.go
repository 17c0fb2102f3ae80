package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// `go test` runs a package in one process. A test that fails while two processes of its package ran may have failed for that reason: both
// wanted one port, one file, one address. Or it needs what the tests before it have done. Such a failure does not count yet. Its test runs
// again when all others of the package have begun, beside them, where that takes little: most have met something that is gone by then. What fails there, too, runs
// again when all others of the package have ended, with nothing of the package beside it, and where its host has more gateways than processors with nothing at all beside it. What it
// says then is its verdict.
//
// What failed among other tests of its process passes only among the same: passing alone would say nothing about how it does in the one process of `go test`.

const (
	// contextTime is how long the tests of a package may have taken in sum for a test in doubt to run again among all of them, in their order:
	// tests that need those before them are then seen to pass, at a small price.
	contextTime = time.Second
	// repeatTime is how long processes with a test in doubt may have taken in sum for their other tests to run again with it, whether or not it fails without.
	repeatTime = 10 * time.Second
	// besideTime bounds what may be spent on tests in doubt that run again beside others, and besideTries how often they do. A test that fails
	// for a reason of its own makes the run so much longer.
	besideTime  = 10 * time.Second
	besideTries = 2
)

// doubt is a failure that does not count yet.
type doubt struct {
	events  []event.Test // of the attempt that failed, in so far as they were not shown
	verdict event.Verdict
	gateway string
	elapsed time.Duration
	job     *job          // in which it failed first
	lasted  time.Duration // that, until then
	among   []int         // the items that had begun in it
	tries   int           // how often it has failed so

	next   int  // the attempt that is to show whether it fails again
	beside bool // that one is made beside other processes of the package
	last   bool // that one is made with nothing else on its host
	owed   bool // that one is made among the tests that it failed among, however long they take
}

// doubtful reports whether a failure of item i might be the price of splitting: another process of its package ran, or the tests before it
// did not run in its own, which is worth a look where it costs little. Or it might be that of a crowd, also of a package that runs whole, unless the user asked
// for that. The failure counts of an attempt that had nothing beside it, and so does a data race: another attempt that does not show it proves nothing.
func (c *controller) doubtful(n *node, i int, it *itemRun) bool {
	j := n.job
	p := j.pkg
	switch {
	case c.replay != nil, j.stopped, p.setbacks[i] != nil, it.raced:
		return false
	case p.doubts[i] != nil:
		d := p.doubts[i]
		return d.beside && !j.alone || j.crowded && !d.last
	case j.unit.Whole:
		return j.crowded && c.cfg.Dist == DistLoad && c.cfg.Command.Grain() == gotest.Split && fits(p.names)
	}
	return !j.alone || j.crowded || p.quick()
}

// doubt puts the failure of item i aside, with the events that would have shown it.
func (c *controller) doubt(n *node, i int, it *itemRun, v event.Verdict, events []test2json.Event) {
	j := n.job
	p := j.pkg
	d := &doubt{verdict: v, gateway: n.id, elapsed: it.elapsed, job: j, lasted: time.Since(j.started), tries: 1, next: p.attempts[i] + 1}
	if before := p.doubts[i]; before != nil {
		d.job, d.lasted, d.among, d.tries, d.owed = before.job, before.lasted, before.among, before.tries+1, before.owed
	} else {
		d.among = j.begun()
	}
	c.chooseNext(d, j)
	j.reopened = j.reopened || j.unit.Whole
	for _, e := range events {
		if !it.before.has(e) {
			d.events = append(d.events, c.eventFrom(n, e))
		}
	}
	if p.doubts == nil {
		p.doubts = make(map[int]*doubt)
	}
	p.doubts[i] = d
	p.keepRemnant(p.names[i], it)
	it.doubted = true
}

// chooseNext says what the next attempt at an item in doubt has beside it, after one in j: the rest of its package while that is cheap; then, where j was in a crowd, nothing at all; else
// nothing of its package. A quick package shows what it does by itself before its host is cleared for it.
func (c *controller) chooseNext(d *doubt, j *job) {
	p := j.pkg
	byItself := p.quick() || p.disturbed || c.cfg.MaxFail > 0
	d.beside = !byItself && !j.alone && d.tries <= besideTries && time.Duration(d.tries)*d.lasted <= besideTime
	d.last = !d.beside && j.crowded && (!byItself || j.alone || d.tries > 1)
	if d.last {
		c.isolate(p)
	}
}

// begun are the items of the unit that have begun.
func (j *job) begun() []int {
	var items []int
	for _, i := range j.unit.Items {
		if j.items[j.pkg.names[i]] != nil {
			items = append(items, i)
		}
	}
	return items
}

// What a test may take that an earlier run has seen, beside other processes of its package, before it is doubted that it will end: tests of a package that take each other's ports
// also hang, and -timeout is far away. The attempt that has nothing of its package beside it has as much time as go test would give it.
const (
	patience    = 10 // times what it is known to take
	minPatience = 5 * time.Second
)

// losePatience gives tests of an order for j a limit of their own, where the user has not set a shorter one.
func (c *controller) losePatience(j *job, o *wire.Order) {
	p := j.pkg
	if j.unit.Whole || j.wide && !p.retriesAny(j.unit.Items) || c.replay != nil || c.cfg.Command.Grain() != gotest.Split {
		return
	}
	for _, name := range o.Names {
		i, ok := p.index[name]
		if !ok || p.expected[i] == 0 || !j.wide && j.division == nil && p.attempts[i] > 1 && !p.retries(i) {
			continue
		}
		limit := max(minPatience, patience*p.expected[i])
		if asked, ok := o.TestTimeouts[name]; ok && asked > 0 && asked <= limit || !ok && o.TestTimeout > 0 && o.TestTimeout <= limit {
			continue
		}
		if o.TestTimeouts == nil {
			o.TestTimeouts = make(map[string]time.Duration)
		}
		if j.limits == nil {
			j.limits = make(map[string]bool)
		}
		o.TestTimeouts[name], j.limits[name] = limit, true
	}
}

// doubtCulprit doubts the item that a process died of by itself: it exited or panicked. A signal or a timeout says enough.
func (c *controller) doubtCulprit(n *node, r unit.Result) {
	i, ok := n.job.pkg.index[r.Culprit]
	it := n.job.items[r.Culprit]
	if !ok || it == nil || n.job.division != nil || it.aside() || it.failed || r.Signal != "" || r.TimedOut || !n.job.impatient && !c.doubtful(n, i, it) {
		return
	}
	c.doubt(n, i, it, event.Crash, append(it.events, crashEvents(n, it, r.Culprit, howItEnded(r))...))
}

// forgive takes back the failure of a process that failed for nothing but tests in doubt, tests that run again, and tests whose verdict is not its own to give.
func (j *job) forgive(r unit.Result) unit.Result {
	failed, aside := false, j.excused
	for _, it := range j.items {
		failed = failed || it.failed && !it.aside()
		aside = aside || it.aside()
	}
	culprit := j.items[r.Culprit]
	explained := r.Verdict == "FAIL" && r.ExitCode == 1 || r.Verdict == "" && culprit != nil && culprit.aside()
	ended := (r.Signal != "" || r.TimedOut) && (culprit == nil || !culprit.again)
	if failed || !aside || !explained || ended || r.Err != "" || r.Incomplete || slices.ContainsFunc(j.output, saysRace) {
		return r
	}
	r.Failed, r.Verdict = false, "PASS"
	j.output = slices.DeleteFunc(j.output, func(e test2json.Event) bool { return strings.HasPrefix(e.Output, "exit status ") })
	return r
}

// showsRace finds the lines by which package testing, the race detector and the runtime tell of a data race in a test.
func showsRace(e test2json.Event) bool {
	return e.Action == test2json.ActionOutput && (strings.Contains(e.Output, "race detected during execution of test") ||
		strings.Contains(e.Output, "WARNING: DATA RACE") || strings.Contains(e.Output, "fatal error: concurrent map "))
}

// saysRace finds the line by which package testing fails a process for a race that belongs to no test.
func saysRace(e test2json.Event) bool {
	return strings.Contains(e.Output, "race detected outside of test execution")
}

// retries reports whether the present attempt of item i is one after a failure, beside other processes.
func (p *pkg) retries(i int) bool {
	d := p.doubts[i]
	return d != nil && d.beside && d.next == p.attempts[i]
}

// retriesAny is retries for one of the items.
func (p *pkg) retriesAny(items []int) bool { return slices.ContainsFunc(items, p.retries) }

// settleDoubt gives an item that will not run again the verdict that was in doubt, and shows it.
func (c *controller) settleDoubt(p *pkg, i int, d *doubt) {
	for _, e := range d.events {
		c.emit(e)
	}
	c.ledger.settle(p, i, d.verdict, d.elapsed, d.gateway, "")
	p.failed = true
	c.fail(p)
}

// context is what the process of u is asked to run, nil for all: the items of u, and where they are in doubt those that had begun in the process that they failed in, or all when
// the package is quick, but for what demands more than the unit has. What has ended its process is left out: it would again. Where the others take long, the first attempt is bare,
// without them: a test that fails by itself needs no more to be seen.
func (p *pkg) context(u policy.Unit) (names []string, bare bool) {
	if u.Whole && !p.partial {
		return nil, false
	}
	if len(p.doubts) == 0 {
		return p.named(u.Items), false
	}
	with := make(map[int]bool)
	failed := make(map[*job]time.Duration)
	all, quick, owed := false, false, false
	for _, i := range u.Items {
		d := p.doubts[i]
		if d == nil || p.attempts[i] != d.next {
			continue
		}
		failed[d.job] = max(failed[d.job], d.lasted)
		all = all || d.job.unit.Whole || d.job.entire
		owed = owed || d.owed
		quick = quick || p.quick()
		for _, k := range d.among {
			with[k] = true
		}
	}
	lasted := time.Duration(0)
	for _, d := range failed {
		lasted += d
	}
	for i := range p.names {
		if all || quick && p.suits(u.Items, i) {
			with[i] = true
		}
	}
	maps.DeleteFunc(with, func(i int, _ bool) bool { return p.verdicts[i] == event.Crash })
	for _, i := range u.Items {
		with[i] = true
	}
	names = p.named(slices.Sorted(maps.Keys(with)))
	bare = !all && !quick && !owed && lasted > repeatTime
	if bare || !fits(names) {
		names = p.named(u.Items)
	}
	return names, bare
}

// unproven reports whether item i has passed where the tests were left out that it had failed among, and puts it aside to run among them.
func (p *pkg) unproven(j *job, i int, it *itemRun) bool {
	d := p.doubts[i]
	if d == nil || !j.bare || d.next != p.attempts[i] || len(d.among) <= 1 {
		return false
	}
	d.next, d.owed, d.beside = p.attempts[i]+1, true, false
	it.doubted = true
	return true
}

// named are the names of items.
func (p *pkg) named(items []int) []string {
	names := make([]string, len(items))
	for n, i := range items {
		names[n] = p.names[i]
	}
	return names
}

// quick reports whether all tests of the package can run once more to see one of them among the others.
func (p *pkg) quick() bool { return p.spent <= contextTime && fits(p.names) }

// fits reports whether a command line holds the names.
func fits(names []string) bool {
	bytes := 0
	for _, name := range names {
		bytes += len(name) + 1
	}
	return bytes <= maxContext
}

// maxContext bounds the names of a process that runs more than its unit, as policy.Config.MaxBytes bounds those of a unit.
const maxContext = 24 << 10

// acquittals names the tests of p that have failed in doubt and passed then.
func (p *pkg) acquittals() []string {
	var names []string
	for i := range p.doubts {
		if v := p.verdicts[i]; v == event.Pass || v == event.Skip {
			names = append(names, p.names[i])
		}
	}
	slices.Sort(names)
	return names
}

// warnOfAcquittals says which tests xdist had to run twice, and how to avoid it.
func (c *controller) warnOfAcquittals(p *pkg) {
	names := p.acquittals()
	if len(names) == 0 {
		return
	}
	const shown = 5
	list := strings.Join(names[:min(shown, len(names))], ", ")
	if more := len(names) - shown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	cause, remedy := "the package was split", "--dist loadscope runs a package in one process"
	if p.isolated {
		cause, remedy = "its host had more processes than processors", "name fewer gateways for it"
	}
	c.emit(event.Warning{Text: fmt.Sprintf("%s: failed while %s and passed when run again: %s; %s", p.shown, cause, list, remedy)})
}

// putAside sends an item in doubt back. With --maxfail the user waits for nothing but that verdict, so it is the next of its package to run.
func (c *controller) putAside(p *pkg, out *policy.Outcome, i int) {
	switch d := p.doubts[i]; {
	case c.cfg.MaxFail > 0:
		p.target.policy.Serialize(p.num)
		out.Requeue = append(out.Requeue, i)
	case d != nil && d.beside && d.next > p.attempts[i]:
		out.Retry = append(out.Retry, i)
	default:
		out.Doubt = append(out.Doubt, i)
	}
}

// repeat has the present attempt at item i, which has come to nothing, made again in the same company if it was to show whether a failure happens again.
func (p *pkg) repeat(i int) {
	if d := p.doubts[i]; d != nil && d.next == p.attempts[i] {
		d.next++
	}
}

// sendBack gives back item i of a process that ended for its company, or before any test. If that was beside others of the package the attempt is made again when nothing is;
// if not, without the company.
func (p *pkg) sendBack(out *policy.Outcome, i int) {
	if !p.retries(i) {
		out.Requeue = append(out.Requeue, i)
		return
	}
	p.repeat(i)
	p.doubts[i].beside = false
	out.Doubt = append(out.Doubt, i)
}

// triesOf is how many attempts at item i have failed and are in doubt.
func (p *pkg) triesOf(i int) int {
	if d := p.doubts[i]; d != nil {
		return d.tries
	}
	return 0
}

package scheduler

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// A test that lasts long, and whose subtests an earlier run has seen, is divided: subtests that are
// known run as units of their own, and one part runs all others of the test, known or not. For the
// policy the parts are items behind the tests of their package. For the account, and in the events,
// there is only the test. Its parts are shown, as one, when all of them have passed. One that fails
// runs again when the others of its package have ended, as a test does that fails beside others.
// When one has not passed then, nothing of them counts: the test runs whole, as if it had never
// been divided, and what it says then is its verdict.

// division is a test that is divided. The loop owns it.
type division struct {
	test    int // item of the test
	first   int // item of the first part; the others follow
	parts   []policy.Part
	shares  []*share // of parts, in their order, once they have passed; parts that ran together have the same
	left    int      // parts without a share
	bytes   int      // of what is held of its parts, packed
	parents map[string]bool
	known   map[string]bool   // its tests that earlier runs have seen, and whether they were skipped
	odd     map[string]string // those of them that ended otherwise in parts, and how; "" is not at all
	needs   bool              // one of odd ended otherwise again when the test ran whole
	failed  map[int]bool      // parts that failed once, and run once more with nothing of their package beside them
	again   *job              // whose parts have failed last
	undone  string            // why the test runs whole after all, or ""
	unlucky bool              // it does for its agent, which says nothing about the test
	gateway string            // of the part that came last
}

// partSaid is what a process has said of parts of a test.
type partSaid struct {
	packed
	ends map[string]string // how tests ended that parts have in common, or that earlier runs have seen
}

// share is what parts of one unit have shown.
type share struct {
	said    partSaid
	idle    bool   // none of its subtests ran, of which its process has warned
	action  string // the terminal one
	elapsed time.Duration
	gateway string
	attempt int
}

// events are what is to be shown of the share.
func (s *share) events() iter.Seq[test2json.Event] {
	return func(yield func(test2json.Event) bool) {
		for e := range s.said.all() {
			if s.idle && e.Output == "testing: warning: no tests to run\n" {
				continue
			}
			if !yield(e) {
				return
			}
		}
	}
}

// allApart bounds what is held, packed, of all tests that run in parts: some 200 MB of what tests
// log. The one that goes beyond it runs whole.
const allApart = 32 << 20

// divisible reports whether tests of the run may be divided at all: their parts are told apart by
// -test.run and -test.skip, which the user has not taken for subtests, and only the best mode takes
// the liberty. Patterns without a slash are about whole tests, and those that they leave out are no
// items.
func (c *controller) divisible() bool {
	cmd := c.cfg.Command
	return c.cfg.Dist == DistLoad && cmd.Grain() == gotest.Split && cmd.Count*cmd.CPUs == 1 && !strings.Contains(cmd.Run+cmd.Skip, "/")
}

// divide divides those tests of p that an earlier run has seen to last longer than its pool's
// limit. One that failed then runs whole: if it fails again that is what counts, and it may be its
// subtests' running together that it fails for.
func (c *controller) divide(p *pkg) {
	if limit := p.pool.limit; limit > 0 && c.divisible() {
		for i := range p.names {
			if d := c.divisionOf(p, i, limit); d != nil {
				p.divisions = append(p.divisions, d)
				p.attempts = append(p.attempts, make([]int, len(d.parts))...)
			}
		}
	}
}

func (c *controller) divisionOf(p *pkg, i int, limit time.Duration) *division {
	book, platform := c.cfg.History, p.pool.supply.name
	known, ok := book.Test(platform, p.path, p.names[i])
	if !ok || known.Cost <= limit || known.Failed || known.Indivisible && p.holds(known.Until) {
		return nil
	}
	tree, ok := book.Tree(platform, p.path, p.names[i])
	if !ok {
		return nil
	}
	parts := policy.Divide(planned(tree), limit)
	if len(parts) < 2 {
		return nil
	}
	d := &division{test: i, first: len(p.attempts), parts: parts, shares: make([]*share, len(parts)), left: len(parts), parents: make(map[string]bool), known: make(map[string]bool)}
	d.expect(tree.Name, tree)
	for _, part := range parts {
		for k := range part.Path {
			d.parents[strings.Join(part.Path[:k+1], "/")] = true
		}
	}
	return d
}

// expect notes what earlier runs have seen of a test and of those below it.
func (d *division) expect(path string, t history.Tree) {
	d.known[path] = t.Skipped
	for _, s := range t.Subtests {
		d.expect(path+"/"+s.Name, s)
	}
}

// planned is a tree as policy has it: -test.run and -test.skip go from slash to slash, so that a
// subtest with one in its name is below a test that there is not.
func planned(t history.Tree) policy.Tree {
	tree := policy.Tree{Name: t.Name, Cost: t.Cost}
	for _, s := range t.Subtests {
		graft(&tree, strings.Split(s.Name, "/"), planned(s))
	}
	return tree
}

// graft puts a test into its place below parent. Those that begin with the same element come one
// after the other.
func graft(parent *policy.Tree, path []string, t policy.Tree) {
	if len(path) == 1 {
		t.Name = path[0]
		parent.Subtests = append(parent.Subtests, t)
		return
	}
	last := len(parent.Subtests) - 1
	if last < 0 || parent.Subtests[last].Name != path[0] {
		parent.Subtests = append(parent.Subtests, policy.Tree{Name: path[0]})
		last++
	}
	parent.Subtests[last].Cost += t.Cost
	graft(&parent.Subtests[last], path[1:], t)
}

// division returns the division that item i of the package is a part of, nil for a test.
func (p *pkg) division(i int) *division {
	for _, d := range p.divisions {
		if d.first <= i && i < d.first+len(d.parts) {
			return d
		}
	}
	return nil
}

// partOf is what a process is asked for that runs these parts together, which the policy has found
// to be on one family.
func (d *division) partOf(items []int) *unit.Part {
	first := d.parts[items[0]-d.first]
	out := &unit.Part{Path: first.Path, Skip: first.Skip}
	for _, i := range items {
		out.Only = append(out.Only, d.parts[i-d.first].Names...)
	}
	return out
}

// handlePartEvent takes an event of a process that runs parts of a test. It is shown when all parts
// have passed.
func (c *controller) handlePartEvent(n *node, e test2json.Event) {
	j := n.job
	p, d := j.pkg, j.division()
	name := topLevel(e.Test)
	if name != p.names[d.test] {
		if _, known := p.index[name]; known {
			c.overreach(p)
			c.undo(p, d, "its process runs other tests")
		}
		return
	}
	if e.Action != test2json.ActionOutput {
		c.emit(event.Progress{Gateway: n.id, Time: e.Time, Action: e.Action, Package: e.Package, Test: e.Test})
	}
	it := j.items[name]
	if it == nil {
		it = &itemRun{want: p.copies[d.test]}
		j.items[name] = it
	}
	if e.Test == name {
		it.follow(e)
	}
	if e.Action == test2json.ActionFail {
		it.verdict = event.Fail
	}
	it.raced = it.raced || showsRace(e)
	if d.undone != "" {
		return
	}
	if _, known := d.known[e.Test]; e.Terminal() && (known || d.parents[e.Test]) {
		if it.said.ends == nil {
			it.said.ends = make(map[string]string)
		}
		it.said.ends[e.Test] = e.Action
	}
	grown := it.said.add(e)
	d.bytes += grown
	if c.apart += grown; c.apart > allApart {
		c.undo(p, d, "its output is too long to be put together")
	}
}

// judgeParts takes the end of a process that ran parts of a test. A failure that is the test's own
// does not fail the package: the test will run whole.
func (c *controller) judgeParts(n *node, r unit.Result) unit.Result {
	j := n.job
	p, d := j.pkg, j.division()
	it := j.items[p.names[d.test]]
	switch {
	case j.stopped():
	case it != nil && it.rounds == p.copies[d.test] && !it.open() && !it.failed() && (!r.Failed || r.Verdict != ""):
		if d.undone == "" {
			c.share(n, it, r.NoTests)
		}
	case c.mayFailAgain(j, it):
		if d.failed == nil {
			d.failed = make(map[int]bool)
		}
		for _, i := range j.unit.Items {
			d.failed[i] = true
		}
		d.again = j
	default:
		c.undo(p, d, howItEnded(r))
	}
	explained := r.Verdict == "FAIL" && r.ExitCode == 1 && it != nil && it.failed() || r.Verdict == "" && it != nil && it.open()
	if !j.stopped() && r.Failed && explained && !slices.ContainsFunc(j.output, saysRace) {
		r.Failed, r.Verdict = false, "PASS"
		j.output = slices.DeleteFunc(j.output, func(e test2json.Event) bool { return strings.HasPrefix(e.Output, "exit status ") })
	}
	return r
}

// quitParts settles the test whose parts n ran when the run was quit, and shows what they have
// said: their goroutines are what the user asked for.
func (c *controller) quitParts(n *node, end jobEnd) {
	p, d := n.job.pkg, n.job.division()
	it := n.job.items[p.names[d.test]]
	switch {
	case p.verdicts[d.test] == "":
		if it != nil {
			it.events = slices.Collect(it.said.all())
		}
		c.crash(n, d.test, it, end)
	case it != nil: // another process of it has ended the test
		for e := range it.said.all() {
			if e.Action == test2json.ActionOutput {
				e.Test = ""
				c.emitFrom(n, e)
			}
		}
	}
}

// mayFailAgain reports whether parts that have not passed run once more before the test runs whole.
// A process with a data race has shown enough, and so has a failure that the user waits for.
func (c *controller) mayFailAgain(j *job, it *itemRun) bool {
	d := j.division()
	return d.undone == "" && it != nil && it.failed() && !it.raced && !slices.ContainsFunc(j.output, saysRace) &&
		c.cfg.MaxFail == 0 && !c.cfg.Command.FailFast && !slices.ContainsFunc(j.unit.Items, func(i int) bool { return d.failed[i] })
}

// share keeps what n's unit has shown of the test in its parts. With the last share the test has
// its verdict.
func (c *controller) share(n *node, it *itemRun, idle bool) {
	p, d := n.job.pkg, n.job.division()
	s := &share{said: it.said, idle: idle, elapsed: it.elapsed, action: test2json.ActionPass, gateway: n.id, attempt: p.attempts[d.test]}
	if it.verdict == event.Skip {
		s.action = test2json.ActionSkip
	}
	for _, i := range n.job.unit.Items {
		d.shares[i-d.first] = s
	}
	d.left -= len(n.job.unit.Items)
	d.gateway = n.id
	if d.left > 0 {
		return
	}
	if !d.agreed() {
		c.undo(p, d, "one part passed and another was skipped")
		return
	}
	if d.odd = d.surprises(); len(d.odd) > 0 {
		c.undo(p, d, oddity(d.odd))
		return
	}
	c.settleDivision(p, d)
}

// agreed reports whether each test that parts have in common has ended in the same way in all of
// them.
func (d *division) agreed() bool {
	actions := make(map[string]string)
	for _, s := range d.distinct() {
		for test, action := range s.said.ends {
			if had, ok := actions[test]; ok && had != action && d.parents[test] {
				return false
			}
			actions[test] = action
		}
	}
	return true
}

// surprises are the tests that did not end in any part though an earlier run has seen them, or were
// skipped and were not then, or the other way round, each with how it ended, "" when it did not.
// Changed sources may be why, or tests that need what is in another part: the whole test will tell.
func (d *division) surprises() map[string]string {
	ended := make(map[string]string)
	for _, s := range d.distinct() {
		maps.Copy(ended, s.said.ends)
	}
	odd := make(map[string]string)
	for test, skipped := range d.known {
		if action := ended[test]; action == "" || (action == test2json.ActionSkip) != skipped {
			odd[test] = action
		}
	}
	return odd
}

// oddity names the first of the odd tests.
func oddity(odd map[string]string) string {
	test := slices.Min(slices.Collect(maps.Keys(odd)))
	switch odd[test] {
	case "":
		return test + " did not run"
	case test2json.ActionSkip:
		return test + " was skipped"
	}
	return test + " was not skipped"
}

// followWhole takes an event of a test that runs whole: it may tell that what was odd in its parts
// came of running apart.
func (p *pkg) followWhole(e test2json.Event) {
	for _, d := range p.divisions {
		if action, ok := d.odd[e.Test]; ok && e.Terminal() && e.Action != action {
			d.needs = true
		}
	}
}

// settleDivision gives a test whose parts have passed its verdict, and shows them as one.
func (c *controller) settleDivision(p *pkg, d *division) {
	var elapsed time.Duration
	for _, s := range d.distinct() {
		elapsed += s.elapsed
	}
	verdict := event.Pass
	if d.shares[0].action == test2json.ActionSkip {
		verdict = event.Skip
	}
	c.ledger.settle(p, d.test, verdict, elapsed, d.gateway, "")
	if len(d.failed) > 0 {
		c.emit(event.Warning{Text: fmt.Sprintf("%s: some of its subtests failed beside others of their package, and passed when they ran again without them", p.id(d.test))})
	}
	for s, e := range d.merged() {
		t := c.packageEvent(p, e)
		t.Gateway, t.Attempt, t.Done, t.Total = s.gateway, s.attempt, c.ledger.settled, c.ledger.collected
		c.emit(t)
	}
	d.forget(&c.account)
}

// forget gives up what the parts have shown.
func (d *division) forget(a *account) {
	a.apart -= d.bytes
	d.shares, d.bytes = nil, 0
}

// distinct are the shares, that of the test's own rest first.
func (d *division) distinct() []*share {
	var out []*share
	for i, s := range d.shares {
		if slices.Contains(out, s) {
			continue
		}
		if part := d.parts[i]; len(part.Path) == 1 && part.Names == nil {
			out = slices.Insert(out, 0, s)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// merged are the events of all shares as one run of the test would have made them, each with the
// share that has it: a test that parts have in common begins with the first that shows it, and ends
// when all have been shown. Each event keeps its time, so that those of one part may lie before
// those of the part before it.
func (d *division) merged() iter.Seq2[*share, test2json.Event] {
	return func(yield func(*share, test2json.Event) bool) {
		begun := make(map[string]bool)
		ends := make(map[string]*ending)
		for _, s := range d.distinct() {
			here := make(map[string]bool)
			for e := range s.events() {
				show := true
				if d.parents[e.Test] {
					again := here[e.Test] && e.Action == test2json.ActionRun // of another test of that name
					here[e.Test] = true
					if ends[e.Test] == nil {
						ends[e.Test] = &ending{depth: strings.Count(e.Test, "/"), share: s}
					}
					show = !ends[e.Test].take(s, e, begun[e.Test]) && !begun[e.Test] && !again
				}
				if show && !yield(s, e) {
					return
				}
			}
			for test := range here {
				begun[test] = true
			}
		}
		for _, end := range slices.SortedFunc(maps.Values(ends), func(a, b *ending) int {
			return cmp.Or(b.depth-a.depth, strings.Compare(a.last.Test, b.last.Test))
		}) {
			for _, e := range end.events() {
				if !yield(end.share, e) {
					return
				}
			}
		}
	}
}

// ending is how a test ends that several parts have in common.
type ending struct {
	depth   int
	share   *share           // that has shown it last
	line    *test2json.Event // "--- PASS: TestX (0.10s)"
	last    test2json.Event
	elapsed float64
}

// take takes an event if it belongs to the end of its test. One that was begun by an earlier share
// has its line.
func (end *ending) take(s *share, e test2json.Event, begun bool) bool {
	text := strings.TrimLeft(e.Output, " ")
	switch {
	case e.Terminal():
		end.share, end.last = s, e
		if e.Elapsed != nil {
			end.elapsed += *e.Elapsed
		}
		return true
	case e.Action == test2json.ActionOutput && (strings.HasPrefix(text, "--- PASS: "+e.Test+" (") || strings.HasPrefix(text, "--- SKIP: "+e.Test+" (")):
		if !begun {
			end.line = &e
		}
		return true
	}
	return false
}

func (end *ending) events() []test2json.Event {
	var out []test2json.Event
	if end.line != nil {
		line := *end.line
		at := strings.LastIndex(line.Output, " (")
		line.Output = fmt.Sprintf("%s (%.2fs)\n", line.Output[:at], end.elapsed)
		out = append(out, line)
	}
	last := end.last
	last.Elapsed = &end.elapsed
	return append(out, last)
}

// undo has a test run whole that was divided: nothing that its parts have shown counts.
func (c *controller) undo(p *pkg, d *division, why string) {
	if d.undone != "" {
		return
	}
	d.undone = why
	d.forget(&c.account)
	for _, j := range p.jobs {
		if it := j.items[p.names[d.test]]; it != nil && j.division() == d {
			it.said = partSaid{}
		}
	}
	var items []int
	for k := range d.parts {
		items = append(items, d.first+k)
	}
	p.pool.policy.Withdraw(p.num, items)
	p.pool.policy.Wake(p.num, d.test)
}

// concludeParts says what becomes of the parts of n's job.
func (c *controller) concludeParts(n *node, end jobEnd) policy.Outcome {
	j, d := n.job, n.job.division()
	var out policy.Outcome
	unsaid := d.undone == "" && !j.stopped() && (end.kind == endUnsaid || end.lost() && j.pkg.lost <= 1)
	if unsaid || d.again == j { // what it has said does not count
		if it := j.items[j.pkg.names[d.test]]; it != nil {
			d.bytes -= it.said.size
			c.apart -= it.said.size
		}
	}
	switch {
	case unsaid:
		out.Requeue = j.unit.Items
		return out
	case d.again == j:
		out.Park = j.unit.Items
		return out
	}
	if end.lost() && !j.stopped() {
		d.unlucky = d.undone == ""
		c.undo(j.pkg, d, end.how)
	}
	var elapsed time.Duration
	if it := j.items[j.pkg.names[d.test]]; it != nil {
		elapsed = it.elapsed / time.Duration(len(j.unit.Items))
	}
	for _, i := range j.unit.Items {
		out.Done = append(out.Done, policy.ItemTime{Item: i, Elapsed: elapsed})
	}
	return out
}

// learnDivision passes on that a test which failed in parts, or did less in them, passed as a
// whole: it is not to be divided again.
func (c *controller) learnDivision(p *pkg, i int, v event.Verdict) {
	for _, d := range p.divisions {
		if d.test != i || d.undone == "" || d.unlucky || v != event.Pass && v != event.Skip {
			continue
		}
		if len(d.odd) > 0 && !d.needs {
			continue // its subtests are not what they were
		}
		what := fmt.Sprintf("failed when its subtests ran apart (%s) and passed as a whole", d.undone)
		if d.needs {
			what = fmt.Sprintf("did not do the same when its subtests ran apart (%s) as it did as a whole", d.undone)
		}
		c.emit(event.Learned{Lesson: history.Lesson{Platform: p.pool.supply.name, Package: p.path, Test: p.names[i], Kind: history.Indivisible, Until: p.key}})
		c.emit(event.Warning{Text: fmt.Sprintf("%s %s; it will not be divided again", p.id(i), what)})
	}
}

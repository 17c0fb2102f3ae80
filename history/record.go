package history

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// place is where a package's record belongs.
type place struct{ pkg, platform string }

// What a verdict is in an observation.
const (
	sawPass = iota
	sawSkip
	sawFail
	sawCrash
	sawFlaky // failed and passed in one run
)

// observation is what one run saw of a test.
type observation struct {
	At      int64 // Unix seconds
	Micros  int64
	Verdict uint8
	Key     uint32 // tells binaries apart; 0 is not known
}

func (o observation) duration() time.Duration { return time.Duration(o.Micros) * time.Microsecond }

// testRecord is all that is kept of a test.
type testRecord struct {
	Recent      []observation // newest first
	Runs        int
	Missed      int // runs of its parent without it, in a row
	Indivisible bool
	Until       string
	Print       uint64
	Red         bool
}

// packageRecord is all that is kept of a package on one platform.
type packageRecord struct {
	Tests       map[string]*testRecord
	Process     []int64 // microseconds, newest first
	Serial      bool
	SerialUntil string
	Broken      bool
	Splits      int
	LastSeen    int64

	sorted []string // paths of Tests; nil is not made
}

// hostRecord is all that is kept of a host. The newest come first.
type hostRecord struct {
	_        struct{} `cbor:",toarray"`
	Speeds   []float64
	Starts   []int64 // microseconds
	Links    []float64
	LastSeen int64
}

func (r *testRecord) lastSeen() int64 {
	if len(r.Recent) == 0 {
		return 0
	}
	return r.Recent[0].At
}

// add puts an observation in its place by time.
func (r *testRecord) add(o observation) {
	i, _ := slices.BinarySearchFunc(r.Recent, o, func(a, b observation) int { return cmp.Compare(b.At, a.At) })
	r.Recent = slices.Insert(r.Recent, i, o)
	if len(r.Recent) > keptObservations {
		r.Recent = r.Recent[:keptObservations]
	}
}

// durations are those that count, newest first: of passes and skips, or of failures if there is
// nothing else.
func (r *testRecord) durations() []time.Duration {
	good, bad := make([]time.Duration, 0, keptObservations), make([]time.Duration, 0, keptObservations)
	for _, o := range r.Recent {
		switch o.Verdict {
		case sawPass, sawSkip, sawFlaky:
			good = append(good, o.duration())
		case sawFail:
			bad = append(bad, o.duration())
		}
	}
	if len(good) > 0 {
		return good
	}
	return bad
}

// known is the estimate; ok is false when there is no duration to make one of.
func (r *testRecord) known() (k Known, ok bool) {
	durations := r.durations()
	k = Known{Runs: r.Runs, LastSeen: time.Unix(r.lastSeen(), 0), Indivisible: r.Indivisible, Until: r.Until, Failed: r.failed(), Flaky: r.flaky(), Skipped: r.skipped(), Red: r.Red}
	if k.Failed || k.Skipped {
		k.Print, k.Binary = r.Print, r.Recent[0].Key
	}
	k.Cost, k.Spread = recentMedian(durations)
	return k, len(durations) > 0
}

func (r *testRecord) skipped() bool { return len(r.Recent) > 0 && r.Recent[0].Verdict == sawSkip }

func (r *testRecord) failed() bool { return len(r.Recent) > 0 && r.Recent[0].failed() }

func (o observation) failed() bool { return o.Verdict == sawFail || o.Verdict == sawCrash }

// flaky reports whether the same code has come to different verdicts.
func (r *testRecord) flaky() bool {
	for _, o := range r.Recent {
		if o.Verdict == sawFlaky {
			return true
		}
		differs := func(p observation) bool {
			return p.Key == o.Key && p.Verdict != sawSkip && p.failed() != o.failed()
		}
		if o.Key != 0 && o.failed() && slices.ContainsFunc(r.Recent, differs) {
			return true
		}
	}
	return false
}

// failures counts the recent runs in which it failed.
func (r *testRecord) failures() int {
	n := 0
	for _, o := range r.Recent {
		if o.failed() || o.Verdict == sawFlaky {
			n++
		}
	}
	return n
}

// test returns the record of a test, made when there is none, or nil when there is no room for
// another.
func (p *packageRecord) test(path string) *testRecord {
	r := p.Tests[path]
	if r == nil {
		if len(p.Tests) >= maxTests {
			return nil
		}
		r = &testRecord{}
		if p.Tests == nil {
			p.Tests = make(map[string]*testRecord)
		}
		p.Tests[path] = r
		p.sorted = nil
	}
	return r
}

// below are the paths of the subtests of a test, in order.
func (p *packageRecord) below(test string) []string {
	sorted, prefix := p.paths(), test+"/"
	first, _ := slices.BinarySearchFunc(sorted, prefix, comparePaths)
	last := first
	for last < len(sorted) && strings.HasPrefix(sorted[last], prefix) {
		last++
	}
	return sorted[first:last]
}

// paths are those of all tests, each before its subtests.
func (p *packageRecord) paths() []string {
	if p.sorted == nil {
		p.sorted = slices.SortedFunc(maps.Keys(p.Tests), comparePaths)
	}
	return p.sorted
}

// comparePaths puts what is below a test right behind it: a slash comes before everything else.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := a[i], b[i]; x != y {
			switch {
			case x == '/':
				return -1
			case y == '/':
				return 1
			}
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

// tree makes the Tree of a test from its own record and those below it.
func (p *packageRecord) tree(test string) (Tree, bool) {
	r := p.Tests[test]
	if r == nil {
		return Tree{}, false
	}
	known, ok := r.known()
	if !ok {
		return Tree{}, false
	}
	root := Tree{Name: test, Cost: known.Cost, Skipped: r.skipped()}
	path := []string{test} // of the nodes that are open, from the root on
	open := []*Tree{&root}
	for _, sub := range p.below(test) {
		s := p.Tests[sub]
		k, ok := s.known()
		if !ok || s.Missed > 0 || s.Runs < 2 && r.Runs > 1 {
			continue
		}
		for !strings.HasPrefix(sub, path[len(path)-1]+"/") {
			path, open = path[:len(path)-1], open[:len(open)-1]
		}
		parent := open[len(open)-1]
		parent.Subtests = append(parent.Subtests, Tree{Name: sub[len(path[len(path)-1])+1:], Cost: k.Cost, Skipped: s.skipped()})
		path, open = append(path, sub), append(open, &parent.Subtests[len(parent.Subtests)-1])
	}
	return root, true
}

// topLevel is the name of the test that a path begins with.
func topLevel(path string) string {
	name, _, _ := strings.Cut(path, "/")
	return name
}

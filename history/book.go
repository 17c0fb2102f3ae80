package history

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Book is what is known of one module. A nil *Book knows nothing and learns nothing; the zero value
// knows nothing and has no file. All methods may be called concurrently.
type Book struct {
	// Conditions are what durations depend on beside the platform, such as "-race -short". What was
	// seen under them is kept apart, and what was seen under others is taken for what has not run
	// under them. It is set before the Book is used.
	Conditions string

	dir, module string // dir is "" for a book without a file

	mu        sync.Mutex // guards what follows; Learn, Add and the decoding of records change it
	packages  map[place]*packageRecord
	undecoded map[place][]byte
	platforms map[string][]string // by package
	hosts     map[string]*hostRecord
	runs      []RunSummary // newest first
}

// Known is the estimate of a test.
type Known struct {
	Cost        time.Duration // on a host of speed 1
	Spread      time.Duration // how far durations are from Cost, about a standard deviation
	Runs        int           // that it was seen in
	LastSeen    time.Time
	Indivisible bool   // its subtests must stay together
	Until       string // the binary that this holds for, by its digest; "" is any
	Failed      bool   // or crashed, when it was last seen
	Skipped     bool   // when it was last seen
	Print       uint64 // fingerprint of what it said when it was last seen to fail or to skip; 0 is none that counts
	Binary      uint32 // in which that was, as function Binary has it; 0 is not known
	Red         bool   // it failed in a process of the whole package when it was last seen in one, and not apart
	Flaky       bool   // recent runs of the same binary disagree, or one run has seen it fail and pass
}

// Tree is a test or subtest with those below it, sorted by name.
type Tree struct {
	Name     string // what its path adds to that of its parent: "TestX", "a", and "a/b" when there is no "a"
	Cost     time.Duration
	Skipped  bool // when it was last seen
	Subtests []Tree
}

// PackageKnown is what is known of a package.
type PackageKnown struct {
	ProcessCost time.Duration // of a process beyond its tests; 0 is not known
	MeanCost    time.Duration // of its top-level tests; 0 is not known
	Tests       int           // top-level tests that MeanCost is of
	Splits      int           // runs in a row that have split it without a further attempt that changed a verdict
	Serial      bool          // it must stay in one process
	SerialUntil string        // the binary that this holds for, by its digest; "" is any
	Broken      bool          // it failed though no test of it did, or did not build, when it was last seen
}

// HostKnown is what is known of a host. Start and Link are 0 when they are not known.
type HostKnown struct {
	Speed float64 // in comparison with the others; 1 when nothing is known
	Start time.Duration
	Link  float64 // bytes per second
}

// Test returns what is known of a test, by its name or the path of a subtest. When it has not run
// on the platform, another one's word is taken, the one that ran it last. ok is false when no
// duration is known; k may have more then, of a test that has only crashed.
func (b *Book) Test(platform, pkg, test string) (k Known, ok bool) {
	if b == nil {
		return Known{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.record(b.at(pkg, platform)); p != nil && p.Tests[test] != nil {
		if k, ok = p.Tests[test].known(); ok {
			return k, true
		}
	}
	for _, other := range b.platforms[pkg] {
		if r := b.record(place{pkg, other}).Tests[test]; r != nil {
			if found, has := r.known(); has && (!ok || found.LastSeen.After(k.LastSeen)) {
				k, ok = found, true
			}
		}
	}
	return k, ok
}

// LastFailed reports whether a test failed or crashed when it was last seen, on another platform
// where it was not seen on this one.
func (b *Book) LastFailed(platform, pkg, test string) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.record(b.at(pkg, platform)); p != nil && p.Tests[test] != nil {
		return p.Tests[test].failed()
	}
	var last *testRecord
	for _, other := range b.platforms[pkg] {
		if r := b.record(place{pkg, other}).Tests[test]; r != nil && (last == nil || r.lastSeen() > last.lastSeen()) {
			last = r
		}
	}
	return last != nil && last.failed()
}

// Tree returns a test with the subtests that it had in its last run, their costs from all that is
// known. Subtests that were seen once only, while the test has run more often, are not in it: their
// names may not come back. ok is false when no duration of the test is known.
func (b *Book) Tree(platform, pkg, test string) (t Tree, ok bool) {
	if b == nil {
		return Tree{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.record(b.at(pkg, platform)); p != nil {
		if t, ok = p.tree(test); ok {
			return t, true
		}
	}
	var last int64
	for _, other := range b.platforms[pkg] {
		p := b.record(place{pkg, other})
		if found, has := p.tree(test); has && (!ok || p.Tests[test].lastSeen() > last) {
			t, ok, last = found, true, p.Tests[test].lastSeen()
		}
	}
	return t, ok
}

// Package returns what is known of a package, from another platform where it was not seen on this
// one.
func (b *Book) Package(platform, pkg string) PackageKnown {
	if b == nil {
		return PackageKnown{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.record(b.at(pkg, platform))
	if p == nil {
		for _, other := range b.platforms[pkg] {
			if r := b.record(place{pkg, other}); p == nil || r.LastSeen > p.LastSeen {
				p = r
			}
		}
	}
	if p == nil {
		return PackageKnown{}
	}
	k := PackageKnown{Splits: p.Splits, Serial: p.Serial, SerialUntil: p.SerialUntil, Broken: p.Broken}
	k.ProcessCost, _ = recentMedian(durationsOf(p.Process))
	var sum time.Duration
	for path, r := range p.Tests {
		if known, ok := r.known(); ok && !strings.Contains(path, "/") {
			sum += known.Cost
			k.Tests++
		}
	}
	if k.Tests > 0 {
		k.MeanCost = sum / time.Duration(k.Tests)
	}
	return k
}

// Host returns what is known of a host.
func (b *Book) Host(name string) HostKnown {
	k := HostKnown{Speed: 1}
	if b == nil {
		return k
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.hosts[name]; r != nil {
		k.Speed = r.speed()
		k.Start, _ = recentMedian(durationsOf(r.Starts))
		if len(r.Links) > 0 {
			k.Link = medianOf(r.Links)
		}
	}
	return k
}

// Runs returns the last runs, newest first. The slice is the caller's.
func (b *Book) Runs() []RunSummary {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.runs)
}

// TestSummary is a top-level test with what there is to say of it.
type TestSummary struct {
	Platform, Package, Test string
	Known
	Failures int           // of the recent runs
	Recent   int           // how many these are
	Latest   time.Duration // of the newest run that passed
	Before   time.Duration // what it cost before that run
	Slower   bool          // Latest is well beyond Before and its spread
	Since    time.Time     // of the run that began to be Slower
	Seen     []Sight       // what the recent runs saw, newest first
}

// Sight is what one run saw of a test.
type Sight struct {
	Time    time.Time // of the run's start, to the second
	Elapsed time.Duration
	Verdict Verdict
}

const (
	// A test is newly slow when it takes slowFactor times as long as before, slowSpreads spreads
	// and at least slowMargin more, and was seen slowRuns times before.
	slowFactor  = 1.5
	slowSpreads = 3
	slowMargin  = 50 * time.Millisecond
	slowRuns    = 3
)

// Tests returns all top-level tests, by package, name and platform.
func (b *Book) Tests() []TestSummary {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []TestSummary
	for _, at := range b.places() {
		p := b.record(at)
		for _, path := range slices.Sorted(maps.Keys(p.Tests)) {
			if strings.Contains(path, "/") {
				continue
			}
			all = append(all, p.Tests[path].summary(at, path))
		}
	}
	return all
}

// Sights returns what the recent runs saw of a test on a platform, newest first.
func (b *Book) Sights(platform, pkg, test string) []Sight {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.record(b.at(pkg, platform)); p != nil && p.Tests[test] != nil {
		return p.Tests[test].sights()
	}
	return nil
}

func (r *testRecord) sights() []Sight {
	seen := make([]Sight, 0, len(r.Recent))
	for _, o := range r.Recent {
		seen = append(seen, Sight{Time: time.Unix(o.At, 0), Elapsed: o.duration(), Verdict: sights[o.Verdict]})
	}
	return seen
}

func (r *testRecord) summary(at place, test string) TestSummary {
	s := TestSummary{Platform: at.platform, Package: at.pkg, Test: test, Failures: r.failures(), Recent: len(r.Recent), Seen: r.sights()}
	s.Known, _ = r.known()
	durations := r.durations()
	if len(durations) == 0 {
		return s
	}
	s.Latest = durations[0]
	before, spread := recentMedian(durations[1:])
	s.Before = before
	s.Slower = len(durations) > slowRuns && s.Latest > time.Duration(slowFactor*float64(before)) && s.Latest > before+max(slowSpreads*spread, slowMargin)
	if s.Slower {
		for _, seen := range s.Seen {
			if seen.Verdict == Fail || seen.Verdict == Crash {
				continue
			}
			if seen.Elapsed < (s.Before+s.Latest)/2 {
				break
			}
			s.Since = seen.Time
		}
	}
	return s
}

// sights are the verdicts of observations.
var sights = map[uint8]Verdict{sawPass: Pass, sawSkip: Skip, sawFail: Fail, sawCrash: Crash, sawFlaky: Flaky}

// Learn adds a run to what is in memory. Nothing is written.
func (b *Book) Learn(run Run) {
	if b != nil {
		b.learn(b.conditional(run))
	}
}

func (b *Book) learn(run Run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	shelf{pkg: b.made, host: b.madeHost}.learn(run)
	b.runs = slices.Insert(b.runs, 0, run.summary())
	b.runs = b.runs[:min(len(b.runs), keptRuns)]
}

// Record adds a run to the file, and to what is in memory. The run is in memory even when there is
// an error. Without a file it is in memory only.
func (b *Book) Record(run Run) error {
	if b == nil {
		return nil
	}
	run = b.conditional(run)
	b.learn(run)
	if b.dir == "" {
		return nil
	}
	return Record(b.dir, b.module, run)
}

// at is where the book has what it knows of a package on a platform.
func (b *Book) at(pkg, platform string) place {
	return place{pkg, strings.TrimSpace(platform + " " + b.Conditions)}
}

// conditional is the run with the book's conditions in the names of the platforms of what is to be
// learned.
func (b *Book) conditional(run Run) Run {
	run.Packages, run.Tests, run.Lessons = slices.Clone(run.Packages), slices.Clone(run.Tests), slices.Clone(run.Lessons)
	for i := range run.Packages {
		run.Packages[i].Platform = b.at("", run.Packages[i].Platform).platform
	}
	for i := range run.Tests {
		run.Tests[i].Platform = b.at("", run.Tests[i].Platform).platform
	}
	for i := range run.Lessons {
		run.Lessons[i].Platform = b.at("", run.Lessons[i].Platform).platform
	}
	return run
}

// record returns the record of a package, or nil. The lock is held.
func (b *Book) record(at place) *packageRecord {
	if p := b.packages[at]; p != nil {
		return p
	}
	raw, ok := b.undecoded[at]
	if !ok {
		return nil
	}
	delete(b.undecoded, at)
	p := &packageRecord{}
	if err := open(raw, p); err != nil {
		p = &packageRecord{} // its checksum was right: somebody else wrote it
	}
	b.put(at, p)
	return p
}

// put takes a record that was not there. The lock is held.
func (b *Book) put(at place, p *packageRecord) {
	if b.packages == nil {
		b.packages = make(map[place]*packageRecord)
	}
	b.packages[at] = p
	b.platform(at)
}

// platform notes that there is something of a package on a platform. The lock is held.
func (b *Book) platform(at place) {
	if b.platforms == nil {
		b.platforms = make(map[string][]string)
	}
	if list := b.platforms[at.pkg]; !slices.Contains(list, at.platform) {
		b.platforms[at.pkg] = append(list, at.platform)
	}
}

func (b *Book) made(at place) *packageRecord {
	p := b.record(at)
	if p == nil {
		p = &packageRecord{}
		b.put(at, p)
	}
	return p
}

func (b *Book) madeHost(name string) *hostRecord {
	r := b.hosts[name]
	if r == nil {
		if b.hosts == nil {
			b.hosts = make(map[string]*hostRecord)
		}
		r = &hostRecord{}
		b.hosts[name] = r
	}
	return r
}

// places are all that there are records of, in order. The lock is held.
func (b *Book) places() []place {
	var all []place
	for pkg, platforms := range b.platforms {
		for _, platform := range platforms {
			all = append(all, place{pkg, platform})
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.platform, b.platform)) })
	return all
}

func durationsOf(micros []int64) []time.Duration {
	all := make([]time.Duration, len(micros))
	for i, m := range micros {
		all[i] = time.Duration(m) * time.Microsecond
	}
	return all
}

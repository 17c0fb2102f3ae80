package history

import (
	"hash/crc32"
	"math"
	"slices"
	"time"
)

const (
	// maxTests of a package on one platform; more are not remembered.
	maxTests = 200_000
	// missedRuns is how often in a row its parent may pass without a subtest before that is
	// forgotten. One that came once only goes at once.
	missedRuns = 3
	// Speeds are found from tests that last at least speedTest, and from at least speedTests of
	// them.
	speedTest  = 20 * time.Millisecond
	speedTests = 5
)

// shelf gives the records that a run touches; each is made when there is none.
type shelf struct {
	pkg  func(place) *packageRecord
	host func(string) *hostRecord
}

// learn adds what a run saw.
func (s shelf) learn(run Run) {
	speeds := make(map[string]float64) // by gateway, as they were known before
	hosts := make(map[string]string)
	for _, h := range run.Hosts {
		speed := s.host(h.Name).speed()
		for _, g := range h.Gateways {
			speeds[g], hosts[g] = speed, h.Name
		}
	}
	keys := make(map[place]uint32)
	for _, p := range run.Packages {
		at := place{p.Package, p.Platform}
		s.pkg(at).learnPackage(p, run.Time)
		if p.Key != "" {
			keys[at] = Binary(p.Key)
		}
	}
	for _, l := range run.Lessons {
		p := s.pkg(place{l.Package, l.Platform})
		p.LastSeen = max(p.LastSeen, run.Time.Unix())
		p.learnLesson(l)
	}
	type testPlace struct {
		place
		test string
	}
	worst := make(map[testPlace]Verdict) // --dist each: where one gateway's run failed, the test did
	for _, t := range run.Tests {
		if t.Verdict == Fail || t.Verdict == Crash {
			worst[testPlace{place{t.Package, t.Platform}, t.Test}] = t.Verdict
		}
	}
	ratios := make(map[string][]float64)
	seen := make(map[place]map[string]bool)
	for _, t := range run.Tests {
		at := place{t.Package, t.Platform}
		if seen[at] == nil {
			seen[at] = make(map[string]bool)
		}
		if _, again := seen[at][t.Test]; again {
			continue // --dist each: one gateway's word will do for what is left
		}
		seen[at][t.Test] = t.Verdict == Pass
		if bad := worst[testPlace{at, t.Test}]; bad != "" {
			t.Verdict = bad
		}
		if run.Partial && topLevel(t.Test) == t.Test && (t.Verdict == Pass || t.Verdict == Skip) && s.pkg(at).failed(t.Test) {
			continue // only some of its subtests may have run
		}
		speed := speeds[t.Gateway]
		if speed == 0 {
			speed = 1
		}
		before, ok := s.pkg(at).learnTest(t, run.Time, keys[at], speed)
		if host := hosts[t.Gateway]; ok && host != "" && before >= speedTest && t.Elapsed >= speedTest && t.Verdict == Pass {
			ratios[host] = append(ratios[host], before.Seconds()/t.Elapsed.Seconds())
		}
	}
	for at, tests := range seen {
		s.pkg(at).forgetOld(run.Time)
		if !run.Partial {
			s.pkg(at).forgetMissing(tests)
		}
	}
	s.learnHosts(run, ratios)
}

// Binary tells test binaries apart by their digests.
func Binary(digest string) uint32 { return crc32.ChecksumIEEE([]byte(digest)) | 1 }

func (p *packageRecord) learnPackage(run PackageRun, now time.Time) {
	p.LastSeen = max(p.LastSeen, now.Unix())
	if run.Process > 0 {
		p.Process = newest(p.Process, run.Process.Microseconds())
	}
	if run.Key == "" {
		return
	}
	if p.SerialUntil != "" && p.SerialUntil != run.Key {
		p.Serial, p.SerialUntil = false, ""
	}
	for _, t := range p.Tests {
		if t.Until != "" && t.Until != run.Key {
			t.Indivisible, t.Until = false, ""
		}
	}
}

func (p *packageRecord) learnLesson(l Lesson) {
	switch l.Kind {
	case Serial:
		p.Serial, p.SerialUntil = true, l.Until
		return
	case Split:
		p.Splits++
		return
	case Changed:
		p.Splits = 0
		return
	case Broken:
		p.Broken = !l.Undone
		return
	}
	r := p.test(l.Test)
	switch {
	case r == nil:
	case l.Kind == Indivisible:
		r.Indivisible, r.Until = true, l.Until
	case l.Kind == Failed, l.Kind == Skipped:
		r.Print = l.Print
	case l.Kind == Red:
		r.Red = !l.Undone
	}
}

// learnTest adds an observation and returns what the test was known to cost before.
func (p *packageRecord) learnTest(t TestRun, now time.Time, key uint32, speed float64) (before time.Duration, ok bool) {
	r := p.test(t.Test)
	if r == nil {
		return 0, false
	}
	known, ok := r.known()
	p.LastSeen = max(p.LastSeen, now.Unix())
	r.Runs++
	r.Missed = 0
	r.add(observation{At: now.Unix(), Micros: int64(float64(t.Elapsed.Microseconds()) * speed), Verdict: sawOf(t), Key: key})
	return known.Cost, ok
}

func sawOf(t TestRun) uint8 {
	switch {
	case t.Verdict == Pass && t.Failures > 0:
		return sawFlaky
	case t.Verdict == Pass:
		return sawPass
	case t.Verdict == Skip:
		return sawSkip
	case t.Verdict == Crash:
		return sawCrash
	}
	return sawFail
}

// forgetOld drops the tests that were not seen for long.
func (p *packageRecord) forgetOld(now time.Time) {
	for path, r := range p.Tests {
		if now.Unix()-r.lastSeen() > int64(forgetAfter/time.Second) {
			delete(p.Tests, path)
			p.sorted = nil
		}
	}
}

// forgetMissing drops the subtests that tests which have passed did not have any more. seen has the
// paths of a run, with whether they passed.
func (p *packageRecord) forgetMissing(seen map[string]bool) {
	for path, r := range p.Tests {
		top := topLevel(path)
		if _, here := seen[path]; here || top == path || !seen[top] {
			continue
		}
		if r.Missed++; r.Runs <= 1 || r.Missed >= missedRuns {
			delete(p.Tests, path)
			p.sorted = nil
		}
	}
}

// learnHosts adds what was seen of the hosts. A host's speed is how it compares with the run as a
// whole, so that a slow day slows none.
func (s shelf) learnHosts(run Run, ratios map[string][]float64) {
	var all []float64
	for _, r := range ratios {
		all = append(all, r...)
	}
	for _, h := range run.Hosts {
		r := s.host(h.Name)
		r.LastSeen = max(r.LastSeen, run.Time.Unix())
		if own := ratios[h.Name]; len(ratios) > 1 && len(own) >= speedTests {
			speed := medianOf(own) / medianOf(all)
			r.Speeds = newest(r.Speeds, min(max(speed, 1.0/64), 64))
		}
		if h.Start > 0 {
			r.Starts = newest(r.Starts, h.Start.Microseconds())
		}
		if h.Link > 0 && !math.IsInf(h.Link, 0) {
			r.Links = newest(r.Links, h.Link)
		}
	}
}

func (r *hostRecord) speed() float64 {
	if len(r.Speeds) == 0 {
		return 1
	}
	return medianOf(r.Speeds)
}

// newest puts v before the others and keeps as many as of observations.
func newest[T any](values []T, v T) []T {
	values = slices.Insert(values, 0, v)
	return values[:min(len(values), keptObservations)]
}

// medianOf returns the median of values, which must not be empty.
func medianOf(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// failed reports whether a test failed when it was last seen.
func (p *packageRecord) failed(test string) bool {
	return p.Tests[test] != nil && p.Tests[test].failed()
}

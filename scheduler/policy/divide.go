package policy

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Tree is a test with what is known of its subtests.
type Tree struct {
	Name     string        // without the names of its parents
	Cost     time.Duration // subtests included; 0 is not known
	Subtests []Tree
}

// Part is what one process, or a part of what one process, runs of a divided test. Either Names or
// Skip is empty.
type Part struct {
	Path  []string // the test whose subtests it is about: {"TestX"} or {"TestX", "a"}
	Names []string // run only these subtests of Path; nil is all of Path but those in Skip, those that nobody knows included
	Skip  []string
	Cost  time.Duration
}

const (
	// divideShare: a test is worth dividing when it lasts longer than this part of what a node has
	// to do.
	divideShare = 4
	// divideLeast: what lasts less than this is never worth the processes.
	divideLeast = 100 * time.Millisecond
	// ownShare: what a test does besides its subtests is done again for each part, and must be
	// below this part of what a part lasts.
	ownShare = 4
	// ownNoise: what a test does besides its subtests is told by the difference of two estimates.
	// Below this part of the test it may be nothing.
	ownNoise = 32
	// shorterShare: the longest part must be shorter than the test by this part of it.
	shorterShare = 4
	// wallNoise: subtests that last longer than their test by this part of them were not counted in
	// it, as package testing has it for parallel ones.
	wallNoise = 8
	// skipBytes bounds the patterns of a rest: below the 32 KiB command line of Windows and the 128
	// KiB argument of Linux.
	skipBytes = 24 << 10
)

// DivideLimit is how long a test may last before it is worth dividing, when all tests last total.
// Zero is not known.
func DivideLimit(total time.Duration, nodes int) time.Duration {
	if total <= 0 {
		return 0
	}
	if nodes <= 1 {
		return total
	}
	return max(divideLeast, total/time.Duration(divideShare*nodes))
}

// Divide returns the parts of a test of which none should last longer than limit, or nil when it is
// not worth dividing: it is short, its subtests are not known, or one of them is most of it. What
// the test does besides its subtests makes the parts longer than limit where it would be most of
// them. Together the parts run every subtest, known or not, exactly once, and what the test does
// besides its subtests once in each process. Short subtests stay together in the rest, the part
// with Skip, as long as it is below limit. A subtest that is divided itself has a rest of its own,
// and those of more names than a command line holds stay in it too. Each part with Names has one
// name, so that those of one Path can be put together in any way.
func Divide(t Tree, limit time.Duration) []Part {
	return divide(nil, t, limit)
}

func divide(parents []string, t Tree, limit time.Duration) []Part {
	var known time.Duration
	for _, sub := range t.Subtests {
		known += max(0, sub.Cost)
	}
	total := max(t.Cost, known)
	own, lasts := total-known, t.lasts(total)
	if limit > 0 && own > total/ownNoise {
		limit = max(limit, own*ownShare)
	}
	if limit <= 0 || lasts <= limit {
		return nil
	}
	path := append(slices.Clone(parents), t.Name)
	rest := Part{Path: path, Cost: own}
	subs := slices.Clone(t.Subtests)
	slices.SortStableFunc(subs, func(a, b Tree) int { return cmp.Compare(a.Cost, b.Cost) })
	for len(subs) > 0 && (subs[0].Cost <= 0 || rest.Cost+subs[0].Cost <= limit) {
		rest.Cost += max(0, subs[0].Cost)
		subs = subs[1:]
	}
	var longest time.Duration
	var parts []Part
	bytes := 2 * len(regexp.QuoteMeta(strings.Join(path, "/")))
	for i, sub := range slices.Backward(subs) {
		if bytes += len(regexp.QuoteMeta(sub.Name)) + 1; bytes > skipBytes {
			for _, short := range subs[:i+1] {
				rest.Cost += short.Cost
			}
			break
		}
		rest.Skip = append(rest.Skip, sub.Name)
		deeper := divide(path, sub, limit)
		if deeper == nil {
			deeper = []Part{{Path: path, Names: []string{sub.Name}, Cost: sub.Cost}}
		}
		for _, part := range deeper {
			longest = max(longest, own+part.Cost)
		}
		parts = append(parts, deeper...)
	}
	if max(longest, rest.Cost) > lasts-lasts/shorterShare {
		return nil
	}
	return append(parts, rest)
}

// lasts is how long the test lasts when it and its subtests cost total. Where subtests ran at once
// that is longer than the test.
func (t Tree) lasts(total time.Duration) time.Duration {
	for _, sub := range t.Subtests {
		if t.Cost < sub.Cost-sub.Cost/wallNoise {
			return total
		}
	}
	if t.Cost <= 0 {
		return total
	}
	return t.Cost
}

package cover

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Merge returns the profile that one process would have written that had run what the processes of
// the given profiles ran: the same blocks, run if any of them ran it (ModeSet) or as often as all
// of them together, up to the maximum of a count. Without profiles it has no blocks. The profiles
// stay as they are and share no memory with the result.
//
// They must have the given mode, and agree on the number of statements of a block; the error names
// the block and both numbers. A file's blocks stay together and in the order in which they appear
// first, and so do the files.
func Merge(mode Mode, profiles ...*Profile) (*Profile, error) {
	m := newMerger(mode)
	for i, p := range profiles {
		if p.Mode != mode {
			return nil, fmt.Errorf("merge cover profiles: profile %d has mode %s, want %s", i+1, p.Mode, mode)
		}
		if err := m.add(p); err != nil {
			return nil, err
		}
	}
	return m.end(), nil
}

// MergeSplit is Merge for processes that had the tests of a package between them. What each of them
// ran besides tests (package initialisation, TestMain) one process would have run once, so it
// counts once. idle is the profile of a process of the package that ran no tests: a process shares
// with the others what it has of that, and the most that one has of it counts for all. A count is
// never less than that of one of the profiles, nor more than Merge makes it, whatever idle says.
func MergeSplit(mode Mode, idle *Profile, profiles ...*Profile) (*Profile, error) {
	if idle.Mode != mode {
		return nil, fmt.Errorf("merge cover profiles: that of no tests has mode %s, want %s", idle.Mode, mode)
	}
	m := newSplitMerger(mode, idle)
	for i, p := range profiles {
		if p.Mode != mode {
			return nil, fmt.Errorf("merge cover profiles: profile %d has mode %s, want %s", i+1, p.Mode, mode)
		}
		if err := m.add(p); err != nil {
			return nil, err
		}
	}
	return m.end()
}

// splitMerger is a MergeSplit under way.
type splitMerger struct {
	idle   *Profile
	counts map[Block]uint32 // of idle
	sums   *merger          // of what each process had for itself
	once   *merger          // of what it shares with idle: the most
}

func newSplitMerger(mode Mode, idle *Profile) *splitMerger {
	return &splitMerger{idle: idle, counts: idle.counts(), sums: newMerger(mode),
		once: &merger{merged: Profile{Mode: mode}, combine: func(a, b uint32) uint32 { return max(a, b) }}}
}

func (m *splitMerger) add(p *Profile) error {
	own, shared := p.without(m.idle, m.counts)
	if err := m.once.add(shared); err != nil {
		return err
	}
	return m.sums.add(own)
}

func (m *splitMerger) end() (*Profile, error) {
	if err := m.sums.add(m.once.end()); err != nil {
		return nil, err
	}
	return m.sums.end(), nil
}

// counts are the profile's counts by range, those of the first block of a range that is there
// several times.
func (p *Profile) counts() map[Block]uint32 {
	counts := make(map[Block]uint32, len(p.Blocks))
	for _, b := range p.Blocks {
		if _, twice := counts[rangeOf(b)]; !twice {
			counts[rangeOf(b)] = b.Count
		}
	}
	return counts
}

// without divides the profile into what it has of idle, whose counts by range are given, and the
// rest.
func (p *Profile) without(idle *Profile, counts map[Block]uint32) (own, shared *Profile) {
	own = &Profile{Mode: p.Mode, Blocks: slices.Clone(p.Blocks)}
	shared = &Profile{Mode: p.Mode, Blocks: slices.Clone(p.Blocks)}
	alike := slices.EqualFunc(p.Blocks, idle.Blocks, sameRange)
	for i, b := range p.Blocks {
		count := counts[rangeOf(b)]
		if alike {
			count = idle.Blocks[i].Count
		}
		shared.Blocks[i].Count = min(b.Count, count)
		own.Blocks[i].Count -= shared.Blocks[i].Count
	}
	return own, shared
}

// merger is a merge under way.
type merger struct {
	merged  Profile
	combine func(a, b uint32) uint32 // counts of one block
	index   map[Block]int            // of merged.Blocks by range; nil until a profile has not the blocks of the first
}

func newMerger(mode Mode) *merger {
	m := &merger{merged: Profile{Mode: mode}, combine: sum}
	if mode == ModeSet {
		m.combine = either
	}
	return m
}

// end returns what the profiles come to.
func (m *merger) end() *Profile {
	if m.index != nil {
		m.groupFiles()
	}
	return &m.merged
}

// add adds a profile, which stays as it is.
func (m *merger) add(p *Profile) error {
	if m.merged.Blocks == nil {
		m.merged.Blocks = slices.Clone(p.Blocks)
		for i := range m.merged.Blocks {
			b := &m.merged.Blocks[i]
			b.Count = m.combine(b.Count, 0)
		}
		return nil
	}
	// Profiles of one binary have the same blocks in the same order; those of different binaries
	// need not.
	if !slices.EqualFunc(m.merged.Blocks, p.Blocks, sameRange) {
		m.fillIndex()
	}
	for i, b := range p.Blocks {
		if m.index != nil {
			var ok bool
			if i, ok = m.index[rangeOf(b)]; !ok {
				m.index[rangeOf(b)] = len(m.merged.Blocks)
				b.Count = m.combine(b.Count, 0)
				m.merged.Blocks = append(m.merged.Blocks, b)
				continue
			}
		}
		into := &m.merged.Blocks[i]
		if into.NumStmt != b.NumStmt {
			return fmt.Errorf("merge cover profiles: block %s has %d statements in one profile and %d in another", b.appendRange(nil), into.NumStmt, b.NumStmt)
		}
		into.Count = m.combine(into.Count, b.Count)
	}
	return nil
}

func (m *merger) fillIndex() {
	if m.index != nil {
		return
	}
	m.index = make(map[Block]int, len(m.merged.Blocks))
	for i, b := range m.merged.Blocks {
		if _, twice := m.index[rangeOf(b)]; !twice {
			m.index[rangeOf(b)] = i
		}
	}
}

// groupFiles moves blocks that were added late to the others of their file.
func (m *merger) groupFiles() {
	rank := map[string]int{}
	for _, b := range m.merged.Blocks {
		if _, ok := rank[b.File]; !ok {
			rank[b.File] = len(rank)
		}
	}
	slices.SortStableFunc(m.merged.Blocks, func(a, b Block) int { return cmp.Compare(rank[a.File], rank[b.File]) })
}

// either combines counts that say only whether a block ran.
func either(a, b uint32) uint32 { return min(a|b, 1) }

// sum adds counts as the runtime does.
func sum(a, b uint32) uint32 {
	if a > math.MaxUint32-b {
		return math.MaxUint32
	}
	return a + b
}

// rangeOf returns b without its numbers.
func rangeOf(b Block) Block {
	b.NumStmt, b.Count = 0, 0
	return b
}

func sameRange(a, b Block) bool { return rangeOf(a) == rangeOf(b) }

// Statements returns how many of the profile's statements ran, and how many it has.
func (p *Profile) Statements() (ran, total uint64) {
	for _, b := range p.Blocks {
		total += uint64(b.NumStmt)
		if b.Count > 0 {
			ran += uint64(b.NumStmt)
		}
	}
	return ran, total
}

// Summary returns the line that the testing package prints for the profile, without its newline:
// "coverage: 50.0% of statements", " in " and the patterns after -coverpkg if there are any, or
// "coverage: [no statements]".
func (p *Profile) Summary(coverpkg ...string) string {
	ran, total := p.Statements()
	return Summary(ran, total, coverpkg...)
}

// Summary is Profile.Summary for one with so many statements, of which so many ran.
func Summary(ran, total uint64, coverpkg ...string) string {
	if total == 0 {
		return "coverage: [no statements]"
	}
	in := ""
	if len(coverpkg) > 0 {
		in = " in " + strings.Join(coverpkg, ", ")
	}
	return fmt.Sprintf("coverage: %.1f%% of statements%s", 100*float64(ran)/float64(total), in)
}

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
	m := merger{merged: Profile{Mode: mode}}
	for i, p := range profiles {
		if p.Mode != mode {
			return nil, fmt.Errorf("merge cover profiles: profile %d has mode %s, want %s", i+1, p.Mode, mode)
		}
		if err := m.add(p); err != nil {
			return nil, fmt.Errorf("merge cover profiles: %w", err)
		}
	}
	if m.index != nil {
		m.groupFiles()
	}
	return &m.merged, nil
}

// merger is a merge under way.
type merger struct {
	merged Profile
	index  map[Block]int // of merged.Blocks by range; nil until a profile has not the blocks of the first
}

func (m *merger) add(p *Profile) error {
	if m.merged.Blocks == nil {
		m.merged.Blocks = slices.Clone(p.Blocks)
		for i := range m.merged.Blocks {
			b := &m.merged.Blocks[i]
			b.Count = m.sum(b.Count, 0)
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
				b.Count = m.sum(b.Count, 0)
				m.merged.Blocks = append(m.merged.Blocks, b)
				continue
			}
		}
		into := &m.merged.Blocks[i]
		if into.NumStmt != b.NumStmt {
			return fmt.Errorf("block %s has %d statements in one profile and %d in another", b.appendRange(nil), into.NumStmt, b.NumStmt)
		}
		into.Count = m.sum(into.Count, b.Count)
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

// sum adds counts as the runtime does.
func (m *merger) sum(a, b uint32) uint32 {
	if m.merged.Mode == ModeSet {
		return min(a|b, 1)
	}
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
	if total == 0 {
		return "coverage: [no statements]"
	}
	in := ""
	if len(coverpkg) > 0 {
		in = " in " + strings.Join(coverpkg, ", ")
	}
	return fmt.Sprintf("coverage: %.1f%% of statements%s", 100*float64(ran)/float64(total), in)
}

package cover

// MergeCounts is Merge, or with an idle profile MergeSplit, for profiles of one Table. It makes one
// file after the other, in their order, and gives each to emit, whose errors end it: so no profile
// is ever there as a whole. The profiles stay as they are.
//
// Blocks that are several in one place are told apart file by file, not profile by profile.
func MergeCounts(mode Mode, idle *Counts, profiles []*Counts, emit func(*Profile) error) error {
	m := countMerger{mode: mode, idle: idle, emit: emit}
	if len(profiles) == 0 {
		return nil
	}
	first := profiles[0].layout
	for _, c := range profiles {
		if c.layout != first {
			return m.apart(profiles)
		}
	}
	if idle != nil && idle.layout != first {
		return m.apart(profiles)
	}
	return m.alike(profiles)
}

// countMerger is a MergeCounts under way.
type countMerger struct {
	mode   Mode
	idle   *Counts // or nil
	emit   func(*Profile) error
	blocks []Block // of a file, to be used again
}

// file merges a file: each calls add with what one profile has of it.
func (m *countMerger) file(idle *Profile, each func(add func(*Profile) error) error) error {
	if idle == nil {
		sum := newMerger(m.mode)
		if err := each(sum.add); err != nil {
			return err
		}
		return m.emit(sum.end())
	}
	split := newSplitMerger(m.mode, idle)
	err := each(split.add)
	var merged *Profile
	if err == nil {
		merged, err = split.end()
	}
	if err != nil {
		return err
	}
	return m.emit(merged)
}

// alike merges profiles that all have the same files.
func (m *countMerger) alike(profiles []*Counts) error {
	readers := make([]countReader, len(profiles))
	for i, c := range profiles {
		readers[i].text = c.counts
	}
	var quiet countReader
	if m.idle != nil {
		quiet.text = m.idle.counts
	}
	for _, f := range profiles[0].layout.files {
		m.blocks = f.appendBlocks(m.blocks[:0])
		var idle *Profile
		if m.idle != nil {
			idle = &Profile{Mode: m.mode, Blocks: f.appendBlocks(nil)}
			idle.count(&quiet)
		}
		err := m.file(idle, func(add func(*Profile) error) error {
			for i := range readers {
				p := &Profile{Mode: m.mode, Blocks: m.blocks}
				p.count(&readers[i])
				if err := add(p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// count gives the blocks their counts.
func (p *Profile) count(r *countReader) {
	for i := range p.Blocks {
		p.Blocks[i].Count = r.next()
	}
}

// place is where a profile has the blocks of a file.
type place struct {
	profile int32
	at      uint32 // of its counts
	file    *file
}

// apart merges profiles some of which have other files, or other blocks of them.
func (m *countMerger) apart(profiles []*Counts) error {
	var order []string
	places := make(map[string][]place)
	index := func(c *Counts, i int, more bool) {
		r := countReader{text: c.counts}
		for _, f := range c.layout.files {
			name := f.name()
			had, known := places[name]
			if !known && more {
				order = append(order, name)
			}
			if known || more {
				places[name] = append(had, place{int32(i), uint32(len(c.counts) - len(r.text)), f})
			}
			for range f.blocks {
				r.next()
			}
		}
	}
	for i, c := range profiles {
		index(c, i, true)
	}
	if m.idle != nil {
		index(m.idle, len(profiles), false)
	}
	for _, name := range order {
		var idle *Profile
		of := places[name]
		delete(places, name)
		if m.idle != nil {
			n := len(of) // its places are the last ones
			for n > 0 && int(of[n-1].profile) == len(profiles) {
				n--
			}
			idle = m.read(m.idle, of[n:])
			idle.Blocks = append([]Block(nil), idle.Blocks...)
			of = of[:n]
		}
		err := m.file(idle, func(add func(*Profile) error) error {
			for len(of) > 0 {
				n := 1
				for n < len(of) && of[n].profile == of[0].profile {
					n++
				}
				if err := add(m.read(profiles[of[0].profile], of[:n])); err != nil {
					return err
				}
				of = of[n:]
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// read is what a profile has at its places of a file. It is valid until the next call.
func (m *countMerger) read(c *Counts, places []place) *Profile {
	m.blocks = m.blocks[:0]
	for _, at := range places {
		n := len(m.blocks)
		m.blocks = at.file.appendBlocks(m.blocks)
		r := countReader{text: c.counts[at.at:]}
		for k := range m.blocks[n:] {
			m.blocks[n+k].Count = r.next()
		}
	}
	return &Profile{Mode: m.mode, Blocks: m.blocks}
}

// Merge keeps what the profiles come to by Merge, in their place. They stay as they are.
func (t *Table) Merge(mode Mode, profiles []*Counts) (*Counts, error) {
	in := t.Intake(mode)
	err := MergeCounts(mode, nil, profiles, func(p *Profile) error {
		for i := range p.Blocks {
			in.block([]byte(p.Blocks[i].File), p.Blocks[i])
		}
		return nil
	})
	if err != nil {
		in.Drop()
		return nil, err
	}
	return in.end(), nil
}

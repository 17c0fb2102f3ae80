package policy

// classify returns the family's class.
func (p *Policy) classify(s *family) *class {
	if s.class == nil {
		var labels []string
		if s.group != nil {
			labels = s.group.requires
		}
		s.class = classOf(s.demand, s.k.seclusion == secluded, labels)
	}
	return s.class
}

// shelfOf returns where a family that may start belongs.
func (p *Policy) shelfOf(s *family) *shelf {
	c := p.classify(s)
	if s.group != nil && s.group.bound != nil {
		n := s.group.bound
		return find(&n.own, c)
	}
	if c.key == "" {
		return p.plain
	}
	return find(&p.bounden, c)
}

func find(list *[]*shelf, c *class) *shelf {
	for _, sh := range *list {
		if sh.key == c.key {
			return sh
		}
	}
	sh := &shelf{class: c}
	*list = append(*list, sh)
	return sh
}

// placeAll places all families of a package, after a change from outside that concerns them all.
func (p *Policy) placeAll(k *pkg) {
	p.changes++
	p.placeFamilies(k)
}

func (p *Policy) placeFamilies(k *pkg) {
	p.release(k)
	for _, s := range k.families {
		p.settle(s) // so that all of a group are placed by the work of all of it
	}
	for _, s := range k.families {
		p.placeFamily(s)
	}
}

// place brings the shelves up to date after a unit of the family was given out or has ended.
func (p *Policy) place(s *family) {
	if k := s.k; k.single() || k.parked > 0 || k.run.due {
		p.placeFamilies(k)
	} else {
		p.placeFamily(s)
	}
}

// placeFamily puts the family into the queues that fit its state.
func (p *Policy) placeFamily(s *family) {
	p.settle(s)
	p.enqueue(s)
	if p.cfg.Mode == WorkSteal {
		p.sharing.tallyLoose(s, s.shelf == p.plain && s.at[mostWork] > 0)
	}
}

// enqueue puts a family where choose looks for it, or takes it away. What was not there before may
// be for a node that had nothing to choose.
func (p *Policy) enqueue(s *family) {
	k := s.k
	owed := k.run.pending && s == k.families[0]
	if s.pending == s.dealt && !owed || k.single() && k.units > 0 || s.awaits != nil {
		s.leave()
		return
	}
	if s.shelf == nil || len(s.back) > 0 && s.at[again] == 0 {
		p.changes++
	}
	sh := p.shelfOf(s)
	if len(s.back) > 0 {
		if s.shelf != sh || s.at[again] == 0 {
			s.leave()
			p.returns++
			s.move(sh, again, p.returns)
		}
		return
	}
	if s.shelf != nil {
		s.quit(again)
	}
	if k.single() || owed && p.cfg.Mode == WorkSteal || s.group != nil && s.group.bound == nil {
		if s.shelf == sh {
			s.quit(longestFirst)
			s.quit(mostWork)
		}
		rank := -int64(p.firmness(s))
		if p.cfg.InOrder {
			rank = s.seq
		}
		s.move(sh, firm, rank)
		return
	}
	if s.shelf == sh {
		s.quit(firm)
	}
	if sh == p.plain && p.cfg.Mode == WorkSteal {
		s.move(sh, mostWork, s.seq)
		return
	}
	s.move(sh, longestFirst, -int64(p.longest(s)))
	s.move(sh, mostWork, -int64(p.firmness(s))/int64(1+k.units))
}

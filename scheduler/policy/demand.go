package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// class is what a family demands beyond its group. Families of one class can start at the same
// places and times.
type class struct {
	key       string // "" demands nothing
	exclusive bool
	last      bool // given to a node that could run nothing else
	weight    int  // at least 1
	resources []Resource
	requires  []string // ascending
}

// group is a Demand.Group: its families run on one node.
type group struct {
	families []*family
	requires []string      // what any of them does
	bound    *node         // where the first of them ran; nil before, and when that node is gone
	left     time.Duration // what is estimated to be pending of it
	into     *group        // another group that this one became a part of, because one family is in both
}

// combined is what a package demands that has one family.
func combined(list []Demand) (d Demand, groups []string) {
	for _, other := range list {
		d.Exclusive = d.Exclusive || other.Exclusive
		d.Weight = max(d.Weight, other.Weight)
		d.Requires = append(d.Requires, other.Requires...)
		for _, r := range other.Resources {
			at := slices.IndexFunc(d.Resources, func(have Resource) bool { return have.Name == r.Name })
			if at < 0 {
				d.Resources = append(d.Resources, r)
			} else {
				d.Resources[at].Units = max(d.Resources[at].Units, r.Units)
				d.Resources[at].Limit = min(max(1, d.Resources[at].Limit), max(1, r.Limit))
			}
		}
		if other.Group != "" {
			groups = append(groups, other.Group)
		}
	}
	return d, groups
}

// classOf makes the class of a demand and the labels that its group requires.
func classOf(d Demand, last bool, labels []string) *class {
	c := &class{exclusive: d.Exclusive, last: last, weight: max(1, d.Weight)}
	c.requires = slices.Concat(d.Requires, labels)
	slices.Sort(c.requires)
	c.requires = slices.Compact(c.requires)
	for _, r := range d.Resources {
		c.resources = append(c.resources, Resource{r.Name, max(1, r.Units), max(1, r.Limit)})
	}
	slices.SortFunc(c.resources, func(a, b Resource) int { return strings.Compare(a.Name, b.Name) })
	if c.exclusive || c.weight > 1 || len(c.requires) > 0 || len(c.resources) > 0 {
		c.key = fmt.Sprintf("%v %v %d %q %v", c.exclusive, c.last, c.weight, c.requires, c.resources)
	}
	return c
}

// join puts the family into the named groups, which thereby become one.
func (p *Policy) join(s *family, names []string) {
	for _, name := range names {
		g := p.groups[name]
		if g == nil {
			g = &group{}
			p.groups[name] = g
		}
		for g.into != nil {
			g = g.into
		}
		switch {
		case s.group == nil:
			s.group = g
			g.left += s.left
			g.families = append(g.families, s)
		case s.group != g:
			p.merge(g, s.group)
		}
	}
	if s.group != nil {
		p.require(s.group, s.demand.Requires)
	}
}

func (p *Policy) merge(from, to *group) {
	from.into = to
	if n := from.bound; n != nil {
		n.forget(from)
		from.bound = nil
		if to.bound == nil {
			to.bound = n
			n.groups = append(n.groups, to)
		}
	}
	for _, s := range from.families {
		s.group = to
	}
	to.families = append(to.families, from.families...)
	to.left += from.left
	from.families = nil
	p.require(to, from.requires)
	p.placeGroup(to)
}

// require adds labels to what the node of the group must have.
func (p *Policy) require(g *group, labels []string) {
	n := len(g.requires)
	g.requires = append(g.requires, labels...)
	slices.Sort(g.requires)
	g.requires = slices.Compact(g.requires)
	if len(g.requires) == n {
		return
	}
	for _, s := range g.families {
		s.class = nil
		p.placeFamily(s)
	}
}

// bind makes n the node of the group, or no node.
func (p *Policy) bind(g *group, n *node) {
	if g == nil || g.bound == n {
		return
	}
	if g.bound != nil {
		g.bound.forget(g)
	}
	g.bound = n
	if n != nil {
		n.groups = append(n.groups, g)
	}
	p.placeGroup(g)
}

func (p *Policy) placeGroup(g *group) {
	for _, s := range g.families {
		p.placeFamily(s)
	}
}

// has reports whether n has the labels of c.
func (n *node) has(c *class) bool {
	for _, label := range c.requires {
		if !slices.Contains(n.labels, label) {
			return false
		}
	}
	return true
}

// available reports whether the resources of c can be taken now.
func (p *Policy) available(c *class) bool {
	for _, r := range c.resources {
		if used := p.used[r.Name]; used > 0 && used+r.Units > r.Limit {
			return false
		}
	}
	return true
}

// take takes the resources of c, or gives them back when sign is -1.
func (p *Policy) take(c *class, sign int) {
	for _, r := range c.resources {
		p.used[r.Name] += sign * r.Units
	}
}

// room reports whether a unit of c could start on h with what runs there now.
func (h *host) room(c *class) bool {
	if c.exclusive {
		return h.units == 0
	}
	return !h.alone && h.load+h.weight(c) <= h.capacity()
}

// capacity is how many nodes of h may have a unit at once.
func (h *host) capacity() int {
	if h.most > 0 {
		return min(h.most, h.nodes)
	}
	return h.nodes
}

// weight is how many nodes of h a unit of c occupies.
func (h *host) weight(c *class) int {
	if c.exclusive {
		return h.nodes
	}
	return min(c.weight, h.capacity())
}

// Unservable returns what is pending and demands labels that no present node has, or that the node
// of its group does not have, in order of AddPackage. Nothing waits for these items but they
// themselves: the caller waits for a node to join, or drops them.
func (p *Policy) Unservable() []Withdrawn {
	var out []Withdrawn
	for _, k := range p.inOrder() {
		var items []int
		owed := false
		for _, s := range k.families {
			if k.empty(s) || p.servable(s) {
				continue
			}
			owed = owed || k.run.pending
			items = append(items, k.pendingOf(s)...)
		}
		if len(items) > 0 || owed {
			slices.Sort(items)
			out = append(out, Withdrawn{Package: k.ID, Items: items})
		}
	}
	return out
}

// servable reports whether some present node could run the family, if not now. Without demands any
// could, even one yet to come.
func (p *Policy) servable(s *family) bool {
	c := p.classify(s)
	if s.group != nil && s.group.bound != nil {
		return s.group.bound.has(c)
	}
	if len(c.requires) == 0 {
		return true
	}
	for _, n := range p.nodes {
		if n.has(c) {
			return true
		}
	}
	return false
}

package gotest

// rest is what LoadConfig.Select has left out of a collection. The nil rest is nothing.
type rest struct {
	packages map[string]*restItems
}

// restItems are of one package.
type restItems struct {
	all   bool
	first bool            // of the package's items the first one is left out
	known map[string]bool // all that were collected
	items int             // how many those are
	order []string        // those that were not left out
}

func restOf(packages, selected []Package) *rest {
	r := &rest{packages: make(map[string]*restItems)}
	kept := make(map[string][]Item, len(selected))
	for _, p := range selected {
		kept[p.ImportPath] = append([]Item{}, p.Items...)
	}
	for _, p := range packages {
		items, ok := kept[p.ImportPath]
		ri := &restItems{all: !ok, known: make(map[string]bool), items: len(p.Items)}
		mine := make(map[string]bool)
		for _, it := range items {
			mine[it.Name] = true
			ri.order = append(ri.order, it.Name)
		}
		for i, it := range p.Items {
			ri.known[it.Name] = true
			ri.first = ri.first || i == 0 && !mine[it.Name]
		}
		r.packages[p.ImportPath] = ri
	}
	return r
}

// has reports whether all of a package is left out.
func (r *rest) has(importPath string) bool {
	if r == nil {
		return false
	}
	p := r.packages[importPath]
	return p != nil && p.all
}

// partOf reports whether some items of a package are left out.
func (r *rest) partOf(importPath string) bool {
	p := r.packages[importPath]
	return p != nil && len(p.order) < p.items
}

// leaves returns those of a binary's tests that are not left out, in the order of the selection.
// What was not collected goes with the first item of its package, so that of all the parts of a
// suite exactly one has it.
func (r *rest) leaves(importPath string, tests []Item) []Item {
	if r == nil || r.packages[importPath] == nil || tests == nil {
		return tests
	}
	p := r.packages[importPath]
	in := make(map[string][]Item, len(tests)) // a package and its _test package can have a test of one name each
	for _, it := range tests {
		in[it.Name] = append(in[it.Name], it)
	}
	out := []Item{}
	for _, name := range p.order {
		if same := in[name]; len(same) > 0 {
			out, in[name] = append(out, same[0]), same[1:]
		}
	}
	for _, it := range tests {
		if !p.known[it.Name] && !p.first {
			out = append(out, it)
		}
	}
	return out
}

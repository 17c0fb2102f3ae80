package shard

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
)

// Cost is how long a test is expected to run; 0 is not known.
type Cost func(importPath, test string) time.Duration

// Plan is a collection that is divided.
type Plan struct {
	Loads []Load // of each part, in order

	packages []gotest.Package
	owner    [][]int // by package and item: the part's index
	home     []int   // by package: the part that has it when it has no items
}

// Load is what a part holds.
type Load struct {
	Packages, Tests int
	Time            time.Duration // expected; 0 when nothing is known of any test
}

// Divide makes n parts of a collection. With whole no package is split. A nil cost knows nothing.
// Import paths must be unique.
func Divide(packages []gotest.Package, n int, whole bool, cost Cost) *Plan {
	p := &Plan{Loads: make([]Load, n), packages: packages, owner: make([][]int, len(packages)), home: make([]int, len(packages))}
	d := newDivision(packages, n, whole, cost)
	if d.known {
		d.byTime()
	} else {
		d.byHash()
	}
	for i := range packages {
		p.owner[i] = make([]int, len(packages[i].Items))
		p.home[i] = rendezvous(packages[i].ImportPath, n)[0]
	}
	for _, a := range d.atoms {
		for _, it := range a.items {
			p.owner[it.pkg][it.item] = a.part
		}
		p.Loads[a.part].Tests += len(a.items)
		if d.known {
			p.Loads[a.part].Time += a.cost
		}
	}
	for k := range p.Loads {
		p.Loads[k].Packages = len(p.Part(k + 1))
	}
	return p
}

// Digest is the same for two plans that give each test to the same part, and for no others.
func (p *Plan) Digest() string {
	var lines []string
	for i, pkg := range p.packages {
		lines = append(lines, fmt.Sprintf("%s %d\n", pkg.ImportPath, p.home[i]))
		for j, it := range pkg.Items {
			lines = append(lines, fmt.Sprintf("%s %d\n", gotest.ID(pkg.ImportPath, it.Name), p.owner[i][j]))
		}
	}
	slices.Sort(lines)
	hash := sha256.Sum256([]byte(fmt.Sprint(len(p.Loads)) + "\n" + strings.Join(lines, "")))
	return hex.EncodeToString(hash[:8])
}

// Part returns the packages of part k, which is from 1, with those of their items that are in it.
// They share nothing that can be changed with the collection.
func (p *Plan) Part(k int) []gotest.Package {
	var out []gotest.Package
	for i, pkg := range p.packages {
		var items []gotest.Item
		for j, it := range pkg.Items {
			if p.owner[i][j] == k-1 {
				items = append(items, it)
			}
		}
		if len(items) > 0 || len(pkg.Items) == 0 && p.home[i] == k-1 {
			pkg.Items = items
			out = append(out, pkg)
		}
	}
	return out
}

// atom is what stays together.
type atom struct {
	key   string // the least test id of it: the same whatever the order of the collection
	pkg   int    // of that
	items []place
	cost  time.Duration
	into  *atom // another one that this one became a part of
	part  int   // the outcome
}

type place struct{ pkg, item int }

// division is a Divide under way.
type division struct {
	packages []gotest.Package
	n        int
	atoms    []*atom // by key
	known    bool    // what some test costs
}

func newDivision(packages []gotest.Package, n int, whole bool, cost Cost) *division {
	d := &division{packages: packages, n: n}
	costs := d.estimate(cost)
	groups := make(map[string]*atom)
	for i, p := range packages {
		var all *atom
		names := make(map[string]*atom) // a package and its _test package can have a test of one name each, which no process can tell apart
		for j, it := range p.Items {
			ties := []*atom{names[it.Name]}
			if whole || p.Serial || p.Undivided != "" {
				ties = append(ties, all)
			}
			group := ""
			if it.Directives != nil && it.Directives.Group != "" {
				group = it.Directives.Group
				ties = append(ties, groups[group])
			}
			a := d.unite(ties)
			if id := gotest.ID(p.ImportPath, it.Name); len(a.items) == 0 || id < a.key {
				a.key, a.pkg = id, i
			}
			all, names[it.Name] = a, a
			if group != "" {
				groups[group] = a
			}
			a.items = append(a.items, place{i, j})
			a.cost += costs[i][j]
		}
	}
	d.atoms = slices.DeleteFunc(d.atoms, func(a *atom) bool { return a.into != nil })
	slices.SortFunc(d.atoms, func(a, b *atom) int { return cmp.Compare(a.key, b.key) })
	return d
}

// unite makes one atom of some, of which any may be nil; a new one when all are.
func (d *division) unite(ties []*atom) *atom {
	var a *atom
	for _, b := range ties {
		for b != nil && b.into != nil {
			b = b.into
		}
		switch {
		case b == nil || b == a:
		case a == nil:
			a = b
		default:
			a.items = append(a.items, b.items...)
			a.cost += b.cost
			if b.key < a.key {
				a.key, a.pkg = b.key, b.pkg
			}
			b.into = a
		}
	}
	if a == nil {
		a = &atom{}
		d.atoms = append(d.atoms, a)
	}
	return a
}

// estimate is what each item costs. One of which nothing is known is like the others of its
// package, or else like the median of all.
func (d *division) estimate(cost Cost) [][]time.Duration {
	costs := make([][]time.Duration, len(d.packages))
	mean := make([]time.Duration, len(d.packages))
	var all []time.Duration
	for i, p := range d.packages {
		costs[i] = make([]time.Duration, len(p.Items))
		known := 0
		for j, it := range p.Items {
			if cost == nil {
				continue
			}
			if c := cost(p.ImportPath, it.Name); c > 0 {
				costs[i][j] = c
				mean[i] += c
				known++
			}
		}
		if known > 0 {
			mean[i] /= time.Duration(known)
		}
		all = append(all, costs[i]...)
	}
	all = slices.DeleteFunc(all, func(c time.Duration) bool { return c == 0 })
	slices.Sort(all)
	d.known = len(all) > 0
	median := time.Millisecond
	if d.known {
		median = all[len(all)/2]
	}
	for i := range costs {
		for j := range costs[i] {
			if costs[i][j] == 0 {
				costs[i][j] = cmp.Or(mean[i], median)
			}
		}
	}
	return costs
}

package policy

import (
	"bufio"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// suite is a recorded run: how long each item of each package took.
type suite struct {
	name     string
	packages []suitePackage
}

type suitePackage struct {
	name     string
	items    []Item
	families []Demand
	times    []time.Duration
	trees    []*record // of the top-level tests, in order; nil in suites that are made up
	overhead time.Duration
}

// record is a test with what was recorded of it and its subtests.
type record struct {
	name string
	cost time.Duration
	subs []*record
}

// readSuite reads testdata/<name>.tsv: package, test, seconds, in the order in which the tests
// ended.
func readSuite(t testing.TB, name string) suite {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := suite{name: name}
	index := map[string]int{}
	tests := map[string]*record{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		col := strings.Split(sc.Text(), "\t")
		seconds, err := strconv.ParseFloat(col[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		i, ok := index[col[0]]
		if !ok {
			i = len(s.packages)
			index[col[0]] = i
			s.packages = append(s.packages, suitePackage{name: col[0], overhead: 5 * time.Millisecond})
		}
		r := s.packages[i].record(tests, col[1])
		r.cost = time.Duration(seconds * float64(time.Second))
		if p := &s.packages[i]; !strings.Contains(col[1], "/") {
			p.items = append(p.items, Item{Name: col[1]})
			p.times = append(p.times, r.cost)
			p.trees = append(p.trees, r)
		}
	}
	return s
}

// record returns the record of a test, which is made with its parents when it is new: subtests end
// before their parents.
func (p *suitePackage) record(tests map[string]*record, path string) *record {
	key := p.name + "\t" + path
	if r := tests[key]; r != nil {
		return r
	}
	at := strings.LastIndex(path, "/")
	r := &record{name: path[at+1:]}
	tests[key] = r
	if at > 0 {
		parent := p.record(tests, path[:at])
		parent.subs = append(parent.subs, r)
	}
	return r
}

// total is how long the test takes when nothing in it overlaps.
func (r *record) total() time.Duration {
	var sum time.Duration
	for _, sub := range r.subs {
		sum += sub.total()
	}
	return max(r.cost, sum)
}

// tree is what a history would know, with the costs put through wrong.
func (r *record) tree(wrong func(time.Duration) time.Duration) Tree {
	t := Tree{Name: r.name}
	own := r.total()
	for _, sub := range r.subs {
		own -= sub.total()
		t.Subtests = append(t.Subtests, sub.tree(wrong))
	}
	t.Cost = wrong(own)
	for _, sub := range t.Subtests {
		t.Cost += sub.Cost
	}
	return t
}

// longestLeaf is the longest of the parts that subtests make.
func (r *record) longestLeaf() time.Duration {
	own, longest := r.total(), time.Duration(0)
	for _, sub := range r.subs {
		own -= sub.total()
		longest = max(longest, sub.longestLeaf())
	}
	return max(longest, own)
}

// find returns the record of a path below r, which is the first of its names.
func (r *record) find(path []string) *record {
	for _, name := range path[1:] {
		r = r.subs[slices.IndexFunc(r.subs, func(sub *record) bool { return sub.name == name })]
	}
	return r
}

// timeOf is how long the part takes.
func (r *record) timeOf(part Part) time.Duration {
	at := r.find(part.Path)
	if part.Names != nil {
		return at.find([]string{"", part.Names[0]}).total()
	}
	d := at.total()
	for _, name := range part.Skip {
		d -= at.find([]string{"", name}).total()
	}
	return d
}

// split returns the suite with its tests divided as their trees say: what is believed of them, put
// through wrong, decides; what they took is the truth.
func (s suite) split(nodes int, wrong func(time.Duration) time.Duration) suite {
	out := suite{name: s.name}
	var believed time.Duration
	var trees [][]Tree
	for _, p := range s.packages {
		var list []Tree
		for _, r := range p.trees {
			list = append(list, r.tree(wrong))
			believed += list[len(list)-1].Cost
		}
		trees = append(trees, list)
	}
	limit := DivideLimit(believed, nodes)
	for i, p := range s.packages {
		q := suitePackage{name: p.name, overhead: p.overhead, families: []Demand{{}}}
		for j, r := range p.trees {
			q.addParts(r, trees[i][j], limit)
		}
		out.packages = append(out.packages, q)
	}
	return out
}

// addParts adds the parts of a test, or the test itself when it is not worth dividing.
func (p *suitePackage) addParts(r *record, t Tree, limit time.Duration) {
	parts := Divide(t, limit)
	if parts == nil {
		p.items = append(p.items, Item{Name: r.name, Cost: max(1, t.Cost)})
		p.times = append(p.times, r.total())
		return
	}
	families := map[string]int{}
	for _, part := range parts {
		path := strings.Join(part.Path, "/")
		at, ok := families[path]
		if !ok || part.Names == nil {
			at = len(p.families)
			p.families = append(p.families, Demand{})
		}
		if part.Names != nil {
			families[path] = at
		}
		p.items = append(p.items, Item{Name: path, Cost: max(1, part.Cost), Family: at})
		p.times = append(p.times, r.timeOf(part))
	}
	p.items = append(p.items, Item{Name: r.name, Cost: max(1, t.Cost), Dormant: true})
	p.times = append(p.times, r.total())
}

// known returns the suite with a history that says what wrong makes of each duration.
func (s suite) known(wrong func(time.Duration) time.Duration) suite {
	out := suite{name: s.name}
	for _, p := range s.packages {
		p.items = slices.Clone(p.items)
		for i, d := range p.times {
			p.items[i].Cost = max(1, wrong(d))
		}
		out.packages = append(out.packages, p)
	}
	return out
}

// exact is a history that is right.
func exact(d time.Duration) time.Duration { return d }

// offBy is a history that is wrong by a factor between 1/most and most, any power of it as likely
// as any other.
func offBy(most float64, seed uint64) func(time.Duration) time.Duration {
	r := rand.New(rand.NewPCG(seed, 5))
	return func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * math.Pow(most, 2*r.Float64()-1))
	}
}

// shuffled returns the suite with its packages, and the tests in each, in another order.
func (s suite) shuffled(seed uint64) suite {
	r := rand.New(rand.NewPCG(seed, 1))
	out := suite{name: s.name}
	for _, i := range r.Perm(len(s.packages)) {
		p := s.packages[i]
		q := suitePackage{items: p.items, overhead: p.overhead}
		for _, j := range r.Perm(len(p.times)) {
			q.times = append(q.times, p.times[j])
		}
		out.packages = append(out.packages, q)
	}
	return out
}

// uniform is a suite of n packages with the same number of equal items.
func uniform(n, items int, each, overhead time.Duration) suite {
	p := suitePackage{overhead: overhead}
	for i := range items {
		p.items = append(p.items, Item{Name: "Test" + strconv.Itoa(i)})
		p.times = append(p.times, each)
	}
	return suite{name: "uniform", packages: slices.Repeat([]suitePackage{p}, n)}
}

// heavyTail is one package of 400 items that last from 0.1 ms to 10 s, most of them little.
func heavyTail(seed uint64) suite {
	r := rand.New(rand.NewPCG(seed, 2))
	s := uniform(1, 400, 0, 5*time.Millisecond)
	for i := range s.packages[0].times {
		x := r.Float64()
		s.packages[0].times[i] = time.Duration(float64(100*time.Microsecond) * math.Pow(10, 5*x*x*x))
	}
	return s
}

// fleet is the speeds of nodes.
type fleet []float64

func equal(n int) fleet { return slices.Repeat(fleet{1}, n) }

// mixed is n nodes of speeds 1, 2 and 4 in turn.
func mixed(n int) fleet {
	var f fleet
	for i := range n {
		f = append(f, float64(int(1)<<(i%3)))
	}
	return f
}

// bound is what no schedule beats: the longest item on the fastest node, or the total divided
// evenly. Dormant items do not run.
func (s suite) bound(f fleet) time.Duration {
	var total, longest time.Duration
	for _, p := range s.packages {
		for i, d := range p.times {
			if !p.items[i].Dormant {
				total += d
				longest = max(longest, d)
			}
		}
	}
	return f.bound(total, longest)
}

// leafBound is bound for a suite whose tests are divided into all their subtests.
func (s suite) leafBound(f fleet) time.Duration {
	var total, longest time.Duration
	for _, p := range s.packages {
		for _, r := range p.trees {
			total += r.total()
			longest = max(longest, r.longestLeaf())
		}
	}
	return f.bound(total, longest)
}

func (f fleet) bound(total, longest time.Duration) time.Duration {
	sum := 0.0
	for _, v := range f {
		sum += v
	}
	return max(time.Duration(float64(longest)/slices.Max(f)), time.Duration(float64(total)/sum))
}

// left counts the items that run and what is known of their cost.
func (s suite) left(from int) (items, packages int, cost time.Duration) {
	for _, p := range s.packages[from:] {
		packages++
		for _, it := range p.items {
			if !it.Dormant {
				items++
				cost += it.Cost
			}
		}
	}
	return items, packages, cost
}

package policy

import (
	"bufio"
	"container/heap"
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
	items    []Item
	times    []time.Duration
	overhead time.Duration // of each process
}

// readSuite reads testdata/<name>.tsv: package, top-level test, seconds, in the order in which the tests ended.
func readSuite(t testing.TB, name string) suite {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := suite{name: name}
	index := map[string]int{}
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
			s.packages = append(s.packages, suitePackage{overhead: 5 * time.Millisecond})
		}
		p := &s.packages[i]
		p.items = append(p.items, Item{Name: col[1]})
		p.times = append(p.times, time.Duration(seconds*float64(time.Second)))
	}
	return s
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

// bound is what no schedule beats: the longest test, or the total divided evenly.
func (s suite) bound(nodes int) time.Duration {
	var total, longest time.Duration
	for _, p := range s.packages {
		for _, d := range p.times {
			total += d
			longest = max(longest, d)
		}
	}
	return max(longest, total/time.Duration(nodes))
}

func (s suite) items() int {
	n := 0
	for _, p := range s.packages {
		n += len(p.times)
	}
	return n
}

// played is what a simulated run came to.
type played struct {
	makespan time.Duration
	units    int
}

const latency = time.Millisecond

// play runs the suite on n nodes in virtual time. Package i becomes runnable at i*build.
func play(t testing.TB, cfg Config, s suite, n int, build time.Duration) played {
	t.Helper()
	sim := &simulation{suite: s, policy: New(cfg)}
	left := s.items()
	sim.policy.Expect(left, len(s.packages), 0)
	for i := range n {
		id := NodeID("gw" + strconv.Itoa(i))
		sim.policy.AddNode(id, Node{Host: "host" + strconv.Itoa(i/2)})
		sim.idle = append(sim.idle, id)
	}
	for i, p := range s.packages {
		left -= len(p.items)
		after := left
		sim.at(time.Duration(i)*build, func() {
			sim.policy.AddPackage(Package{ID: PackageID(i), Items: p.items})
			sim.policy.Expect(after, len(s.packages)-i-1, 0)
			if i == len(s.packages)-1 {
				sim.policy.NoMore()
			}
		})
	}
	for sim.step() {
	}
	if !sim.policy.Done() {
		t.Fatalf("%s on %d nodes stopped with %d items pending", s.name, n, sim.policy.Pending())
	}
	sim.played.makespan = sim.now
	return sim.played
}

// simulation is an event loop with a virtual clock.
type simulation struct {
	suite  suite
	policy *Policy
	now    time.Duration
	events eventHeap
	idle   []NodeID
	count  int
	played played
}

type event struct {
	at  time.Duration
	seq int
	do  func()
}

func (sim *simulation) at(t time.Duration, do func()) {
	sim.count++
	heap.Push(&sim.events, event{t, sim.count, do})
}

// step handles all events of one instant, then asks for the idle nodes.
func (sim *simulation) step() bool {
	if len(sim.events) == 0 {
		return false
	}
	sim.now = sim.events[0].at
	for len(sim.events) > 0 && sim.events[0].at == sim.now {
		heap.Pop(&sim.events).(event).do()
	}
	idle := sim.idle
	sim.idle = nil
	for _, id := range idle {
		if u, ok := sim.policy.Next(id); ok {
			sim.start(id, u)
		} else {
			sim.idle = append(sim.idle, id)
		}
	}
	return true
}

func (sim *simulation) start(id NodeID, u Unit) {
	p := sim.suite.packages[u.Package]
	out := Outcome{Overhead: p.overhead}
	took := p.overhead + latency
	for _, item := range u.Items {
		out.Done = append(out.Done, ItemTime{Item: item, Elapsed: p.times[item]})
		took += p.times[item]
	}
	sim.played.units++
	sim.at(sim.now+took, func() {
		sim.policy.Finish(id, out)
		sim.idle = append(sim.idle, id)
	})
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

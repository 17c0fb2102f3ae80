package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// ships are binaries on their way. Those to one host come one after the other.
type ships struct {
	size  int64
	link  map[string]float64 // of hosts, bytes per second
	host  map[NodeID]string
	free  map[string]time.Duration               // when the link is
	there map[string]map[PackageID]time.Duration // when a binary is
	sent  int
}

func newShips(size int64) *ships {
	return &ships{size: size, link: map[string]float64{}, host: map[NodeID]string{}, free: map[string]time.Duration{}, there: map[string]map[PackageID]time.Duration{}}
}

func (s *ships) count() int {
	if s == nil {
		return 0
	}
	return s.sent
}

// arrives is when the binary of a package is on the host of a node.
func (s *ships) arrives(now time.Duration, id NodeID, pkg PackageID) time.Duration {
	if s == nil || s.link[s.host[id]] == 0 {
		return now
	}
	host := s.host[id]
	at, ok := s.there[host][pkg]
	if !ok {
		at = max(now, s.free[host]) + time.Duration(float64(s.size)/s.link[host]*float64(time.Second))
		if s.there[host] == nil {
			s.there[host] = map[PackageID]time.Duration{}
		}
		s.free[host], s.there[host][pkg] = at, at
		s.sent++
	}
	return max(now, at)
}

// site is hosts with nodes to play a suite on.
type site struct {
	hosts, nodes int       // and nodes of each
	links        []float64 // of the hosts in turn, Mbit/s; 0 is the controller's own
	size         int64     // of each binary
	held         bool      // the hosts have the binaries of an earlier run, in turn
	blind        bool      // the Policy is not told of transfers
	build        time.Duration
}

// playAt plays a suite on a site.
func playAt(t testing.TB, cfg Config, s suite, at site) played {
	t.Helper()
	sh := newShips(at.size)
	sim := &simulation{suite: s, policy: New(cfg), speeds: map[NodeID]float64{}, ships: sh}
	p := sim.policy
	var stores []string
	for h := range at.hosts {
		name := fmt.Sprintf("host%d", h)
		in := Node{Host: name}
		if sh.link[name] = at.links[h%len(at.links)] * 1e6 / 8; sh.link[name] > 0 && !at.blind {
			in.Store = name
			p.SetLink(name, sh.link[name])
		}
		stores = append(stores, name)
		for i := range at.nodes {
			id := NodeID(fmt.Sprintf("%s-%d", name, i))
			sh.host[id], sim.speeds[id] = name, 1
			p.AddNode(id, in)
		}
	}
	for i := range at.nodes { // hosts become ready at the same time
		for _, name := range stores {
			sim.idle = append(sim.idle, NodeID(fmt.Sprintf("%s-%d", name, i)))
		}
	}
	for i, pk := range s.packages {
		id := PackageID(i)
		sim.at(time.Duration(i)*at.build, func() {
			in := Package{ID: id, Items: pk.items, Families: pk.families, Size: at.size}
			p.AddPackage(in)
			if name := stores[i%len(stores)]; at.held && sh.link[name] > 0 {
				if sh.there[name] == nil {
					sh.there[name] = map[PackageID]time.Duration{}
				}
				sh.there[name][id] = 0
				if !at.blind {
					p.Hold(name, id)
				}
			}
			p.Expect(s.left(i + 1))
			if i == len(s.packages)-1 {
				p.NoMore()
			}
		})
	}
	for sim.step() {
	}
	if !p.Done() {
		t.Fatalf("%s stopped with %d items pending", s.name, p.Pending())
	}
	sim.played.makespan, sim.played.sent = sim.now, sh.sent
	return sim.played
}

// TestTransfers plays the recorded suites on 4 hosts with 4 nodes each, to which binaries of 20 MB
// have to be sent, next to the same policy that is told nothing of that. "known" and "split" have a
// history, "held" hosts have a fourth of the binaries each from an earlier run. Without a history
// the figures are medians over orders.
func TestTransfers(t *testing.T) {
	const orders, noWorse = 11, 1.005
	for _, tt := range []struct {
		how, suite string
		limits     [3]float64 // of the makespan without to that with, over 1000, 100 and 10 Mbit/s; 0 is noWorse
	}{
		{"unknown", "hashicorp-raft", [3]float64{}}, // one package: all hosts want its binary
		{"unknown", "hashicorp-serf", [3]float64{0, 0.95, 0.45}},
		{"unknown", "grpc-go", [3]float64{0, 0.95, 0.85}},
		{"unknown", "go-std-short", [3]float64{0.95, 0.7, 0.6}},
		{"known", "hashicorp-raft", [3]float64{}},
		{"known", "hashicorp-serf", [3]float64{0, 0.95, 0.55}},
		{"known", "grpc-go", [3]float64{0, 0.95, 0.95}},
		{"known", "go-std-short", [3]float64{0, 0.95, 0.95}},
		{"split", "hashicorp-raft", [3]float64{}},
		{"split", "grpc-go", [3]float64{0, 0.95, 0.9}},
		{"held", "hashicorp-raft", [3]float64{}},
		{"held", "hashicorp-serf", [3]float64{0, 0.85, 0.25}},
		{"held", "grpc-go", [3]float64{0, 0.8, 0.15}},
		{"held", "go-std-short", [3]float64{0.8, 0.25, 0.1}},
		{"held unknown", "hashicorp-raft", [3]float64{}},
		{"held unknown", "hashicorp-serf", [3]float64{0, 0.95, 0.35}},
		{"held unknown", "grpc-go", [3]float64{0, 0.7, 0.15}},
		{"held unknown", "go-std-short", [3]float64{0.9, 0.25, 0.1}},
	} {
		s := readSuite(t, tt.suite)
		list := []suite{s.known(exact)}
		switch {
		case strings.Contains(tt.how, "unknown"):
			list = nil
			for seed := range uint64(orders) {
				list = append(list, s.shuffled(seed))
			}
		case tt.how == "split":
			list = []suite{s.split(16, exact)}
		}
		for i, link := range []float64{1000, 100, 10} {
			at := site{hosts: 4, nodes: 4, links: []float64{link}, size: 20e6, held: strings.HasPrefix(tt.how, "held")}
			told, sent := playAll(t, list, at)
			at.blind = true
			blind, sentBlindly := playAll(t, list, at)
			got, limit := quotient(told, blind), cmp.Or(tt.limits[i], noWorse)
			t.Logf("%-14s %-12s %4.0f Mbit/s: %7.2fs with %3d binaries sent, %7.2fs with %3d when told nothing: %.3f", tt.suite, tt.how, link, told.Seconds(), sent, blind.Seconds(), sentBlindly, got)
			if got > limit || sent > sentBlindly {
				t.Errorf("%s, %s, %v Mbit/s: %.3f of the time of a policy that is told nothing, want at most %.3f; %d binaries sent, and %d", tt.suite, tt.how, link, got, limit, sent, sentBlindly)
			}
		}
	}
}

// TestTransfersOfOtherModes plays sites with LoadScope, which leaves packages to hosts that have
// them, and WorkSteal, which does not look at transfers.
func TestTransfersOfOtherModes(t *testing.T) {
	for _, name := range recorded {
		s := readSuite(t, name).known(exact)
		for _, link := range []float64{1000, 100, 10} {
			for mode, limit := range map[Mode]float64{LoadScope: 1, WorkSteal: 1} {
				at := site{hosts: 4, nodes: 4, links: []float64{link}, size: 20e6, held: true}
				told := playAt(t, Config{Mode: mode}, s, at)
				at.blind = true
				blind := playAt(t, Config{Mode: mode}, s, at)
				if mode == LoadScope && len(s.packages) > 5 && link == 10 {
					limit = 0.15
				}
				got := quotient(told.makespan, blind.makespan)
				t.Logf("%s, mode %d, %v Mbit/s: %.2fs (%d sent), told nothing %.2fs (%d sent): %.3f", name, mode, link, told.makespan.Seconds(), told.sent, blind.makespan.Seconds(), blind.sent, got)
				if got > limit || mode == WorkSteal && told != blind {
					t.Errorf("%s, mode %d, %v Mbit/s: %.3f of the time of a policy that is told nothing, want at most %.2f", name, mode, link, got, limit)
				}
			}
		}
	}
}

// playAll plays suites, and returns the median makespan and what was sent in all, by suite.
func playAll(t testing.TB, list []suite, at site) (time.Duration, int) {
	var all []time.Duration
	sent := 0
	for _, s := range list {
		got := playAt(t, Config{}, s, at)
		all = append(all, got.makespan)
		sent += got.sent
	}
	return median(all), sent / len(list)
}

// TestOddSites plays sites whose hosts differ: what is told of transfers must not make a run
// longer.
func TestOddSites(t *testing.T) {
	for _, tt := range []struct {
		name  string
		at    site
		limit float64
	}{
		{"the controller's own nodes and far ones", site{hosts: 3, nodes: 4, links: []float64{0, 10, 10}, size: 20e6}, 0.8},
		{"one link that is slow", site{hosts: 4, nodes: 4, links: []float64{1000, 1000, 1000, 4}, size: 20e6}, 0.5},
		{"packages that are built one after the other", site{hosts: 4, nodes: 4, links: []float64{100}, size: 20e6, build: 200 * time.Millisecond}, 1},
		{"many hosts with one node each", site{hosts: 32, nodes: 1, links: []float64{100}, size: 20e6}, 1},
	} {
		for _, name := range []string{"hashicorp-serf", "grpc-go", "go-std-short"} {
			s := readSuite(t, name).known(exact)
			told := playAt(t, Config{}, s, tt.at)
			blindly := tt.at
			blindly.blind = true
			blind := playAt(t, Config{}, s, blindly)
			got := quotient(told.makespan, blind.makespan)
			t.Logf("%s, %s: %.2fs (%d sent), told nothing %.2fs (%d sent): %.3f", tt.name, name, told.makespan.Seconds(), told.sent, blind.makespan.Seconds(), blind.sent, got)
			if got > tt.limit {
				t.Errorf("%s, %s: %.3f of the time of a policy that is told nothing, want at most %.2f", tt.name, name, got, tt.limit)
			}
		}
	}
}

// far adds nodes written as node@host, on hosts with stores of their own.
func (s *story) far(link float64, nodes ...string) {
	for _, n := range nodes {
		id, host, _ := strings.Cut(n, "@")
		s.AddNode(NodeID(id), Node{Host: host, Store: host})
		s.SetLink(host, link)
	}
}

func TestStoriesOfBinaries(t *testing.T) {
	const mb = 1_000_000
	seconds := func(n int) []Item { return costs(slices.Repeat([]time.Duration{sec}, n)...) }
	tenths := costs(slices.Repeat([]time.Duration{sec / 10}, 4)...)
	for _, tt := range []struct {
		name string
		tell func(s *story)
	}{
		{"little work is left to the host that has the binary, and comes back when that host leaves", func(s *story) {
			s.far(mb, "a0@a", "b0@b")
			s.AddPackage(Package{ID: 1, Items: seconds(4), Size: 10 * mb})
			s.Hold("a", 1)
			s.wants("b0", "")
			s.wants("a0", "1:0")
			s.wants("b0", "")
			s.RemoveNode("a0", nil)
			s.wants("b0", "1:0")
		}},
		{"much work is not", func(s *story) {
			s.far(mb, "a0@a", "b0@b")
			s.AddPackage(Package{ID: 1, Items: seconds(40), Size: 10 * mb})
			s.Hold("a", 1)
			s.wants("b0", "1:0")
		}},
		{"of about equal packages a host takes what it has", func(s *story) {
			s.far(mb, "a0@a", "b0@b")
			s.AddPackage(Package{ID: 1, Items: seconds(4), Size: 10 * mb})
			s.AddPackage(Package{ID: 2, Items: seconds(4), Size: 10 * mb})
			s.Hold("a", 2)
			s.Hold("b", 1)
			s.wants("a0", "2:0")
			s.wants("b0", "1:0")
		}},
		{"a binary that is nowhere goes to one host, and the nodes of that host share it", func(s *story) {
			s.far(mb, "a0@a", "a1@a", "b0@b")
			s.AddPackage(Package{ID: 1, Items: tenths, Size: 10 * mb})
			if u := s.gets("a0"); len(u.Items) > 2 {
				t.Errorf("the first unit is %v, more than an even share", u.Items)
			}
			s.gets("a1")
			s.wants("b0", "")
		}},
		{"nothing is left to others as long as a link is not known", func(s *story) {
			s.far(0, "a0@a", "b0@b")
			s.AddPackage(Package{ID: 1, Items: seconds(4), Size: 10 * mb})
			s.Hold("a", 1)
			s.wants("b0", "1:0")
			s.wants("a0", "1:1")
		}},
		{"a host whose binary did not arrive gets it anew", func(s *story) {
			s.far(mb, "a0@a", "a1@a", "b0@b")
			s.AddPackage(Package{ID: 1, Items: tenths, Size: 10 * mb})
			s.gets("a0")
			s.RemoveNode("a0", nil)
			s.gets("b0")
			s.wants("a1", "")
		}},
		{"nodes on the controller's machine have all binaries", func(s *story) {
			s.add("here@h")
			s.far(mb, "a0@a")
			s.AddPackage(Package{ID: 1, Items: seconds(4), Size: 10 * mb})
			s.wants("a0", "")
			s.wants("here", "1:0")
		}},
		{"a far better link gets what is nowhere", func(s *story) {
			s.far(mb, "a0@a")
			s.far(100*mb, "b0@b")
			s.AddPackage(Package{ID: 1, Items: seconds(4), Size: 10 * mb})
			s.wants("a0", "")
			s.wants("b0", "1:0")
		}},
		{"a slow host that has it does not leave it to a fast one that would leave it to the slow one", func(s *story) {
			s.AddNode("slow", Node{Host: "a", Store: "a", Speed: 0.1})
			s.AddNode("fast", Node{Host: "b", Store: "b", Speed: 10})
			s.SetLink("b", mb)
			s.AddPackage(Package{ID: 1, Items: seconds(1), Size: 100 * mb})
			s.Hold("a", 1)
			if _, ok := s.Next("slow"); !ok {
				s.gets("fast")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.tell(newStory(t, Config{})) })
	}
}

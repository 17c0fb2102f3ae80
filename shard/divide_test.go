package shard

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest"
)

// suite reads a recorded suite: packages, and what their tests cost.
func suite(t testing.TB, name string) ([]gotest.Package, Cost) {
	t.Helper()
	f, err := os.Open(filepath.Join("../scheduler/policy/testdata", name+".tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	records, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	index := make(map[string]int)
	costs := make(map[string]time.Duration)
	var packages []gotest.Package
	for _, rec := range records {
		if len(rec) != 3 || slices.Contains([]byte(rec[1]), '/') {
			continue
		}
		seconds, err := strconv.ParseFloat(rec[2], 64)
		if err != nil || rec[1] == "" {
			continue
		}
		i, ok := index[rec[0]]
		if !ok {
			i = len(packages)
			index[rec[0]] = i
			packages = append(packages, gotest.Package{ImportPath: rec[0]})
		}
		packages[i].Items = append(packages[i].Items, gotest.Item{Name: rec[1]})
		costs[gotest.ID(rec[0], rec[1])] = max(time.Microsecond, time.Duration(seconds*float64(time.Second)))
	}
	if len(packages) == 0 {
		t.Fatal("no packages")
	}
	packages = append(packages, gotest.Package{ImportPath: "example.com/none"}, gotest.Package{ImportPath: "example.com/other"})
	return packages, func(pkg, test string) time.Duration { return costs[gotest.ID(pkg, test)] }
}

var suites = []string{"go-std-short", "grpc-go", "hashicorp-raft", "hashicorp-serf"}

// ids are what the parts have, by test id; packages without tests are there by their paths.
func ids(t *testing.T, p *Plan, n int) map[string]int {
	t.Helper()
	part := make(map[string]int)
	for k := 1; k <= n; k++ {
		for _, pkg := range p.Part(k) {
			list := []string{pkg.ImportPath}
			if len(pkg.Items) > 0 {
				list = nil
			}
			for _, it := range pkg.Items {
				list = append(list, gotest.ID(pkg.ImportPath, it.Name))
			}
			for _, id := range list {
				if part[id] != 0 && part[id] != k {
					t.Errorf("%s is in parts %d and %d", id, part[id], k)
				}
				part[id] = k
			}
		}
	}
	return part
}

func count(packages []gotest.Package) (n int) {
	for _, p := range packages {
		n += max(1, len(p.Items))
	}
	return n
}

// TestExactlyOnce: every test is in one part, whatever the order in which a job sees the
// collection, and with and without timings.
func TestExactlyOnce(t *testing.T) {
	for _, name := range suites {
		packages, cost := suite(t, name)
		reversed := slices.Clone(packages)
		slices.Reverse(reversed)
		for _, c := range []Cost{nil, cost} {
			for _, n := range []int{1, 2, 3, 7, 64} {
				for _, whole := range []bool{false, true} {
					got := ids(t, Divide(packages, n, whole, c), n)
					have, plan := 0, Divide(packages, n, whole, c)
					for k := 1; k <= n; k++ {
						have += count(plan.Part(k))
					}
					if want := count(packages); have != want {
						t.Errorf("%s/%d: %d of %d are in a part", name, n, have, want)
					}
					again := ids(t, Divide(reversed, n, whole, c), n)
					for id, k := range got {
						if again[id] != k {
							t.Fatalf("%s/%d: %s is in part %d, and in %d when the collection is in another order", name, n, id, k, again[id])
						}
					}
				}
			}
		}
	}
}

// twice is 1 where a package and its _test package have a test of this name each: they stay
// together.
func twice(p gotest.Package, it gotest.Item) int {
	n := -1
	for _, other := range p.Items {
		if other.Name == it.Name {
			n++
		}
	}
	return n
}

// TestBalance: with timings the longest part is next to the shortest possible.
// TestDigest: it tells the plans apart that the parts of one run must not be of, and nothing else.
func TestDigest(t *testing.T) {
	packages, cost := suite(t, "hashicorp-serf")
	plan := Divide(packages, 3, false, cost).Digest()
	other := slices.Clone(packages)
	slices.Reverse(other)
	if got := Divide(other, 3, false, cost).Digest(); got != plan {
		t.Error("it depends on the order of the packages")
	}
	for name, got := range map[string]*Plan{
		"parts":    Divide(packages, 4, false, cost),
		"whole":    Divide(packages, 3, true, cost),
		"costs":    Divide(packages, 3, false, nil),
		"packages": Divide(packages[1:], 3, false, cost),
	} {
		if got.Digest() == plan {
			t.Errorf("it is the same with other %s", name)
		}
	}
}

func TestBalance(t *testing.T) {
	for _, name := range suites {
		packages, cost := suite(t, name)
		var total, longest time.Duration
		for _, p := range packages {
			for _, it := range p.Items {
				c := cost(p.ImportPath, it.Name)
				total += c
				longest = max(longest, c, 2*c*time.Duration(twice(p, it)))
			}
		}
		for _, n := range []int{2, 4, 16, 64} {
			plan := Divide(packages, n, false, cost)
			var span, sum time.Duration
			parts := 0
			for _, l := range plan.Loads {
				span = max(span, l.Time)
				sum += l.Time
				parts += l.Packages
			}
			bound := max(longest, total/time.Duration(n))
			t.Logf("%s/%d: %.3f of the bound, %d packages in %d parts", name, n, float64(span)/float64(bound), len(packages), parts)
			if float64(span) > 1.03*float64(bound) {
				t.Errorf("%s/%d: the longest part lasts %v, %v is possible", name, n, span, bound)
			}
			if sum != total {
				t.Errorf("%s/%d: the parts last %v, the suite %v", name, n, sum, total)
			}
		}
	}
}

// TestEven: without timings no part has many more tests than its share.
func TestEven(t *testing.T) {
	for _, name := range suites {
		packages, _ := suite(t, name)
		tests := count(packages) - 2
		for _, n := range []int{2, 4, 8} {
			for k, l := range Divide(packages, n, false, nil).Loads {
				if most := int(1.1*float64(tests)/float64(n)) + 1; l.Tests > most {
					t.Errorf("%s: part %d/%d has %d of %d tests", name, k+1, n, l.Tests, tests)
				}
			}
		}
	}
}

// TestFewMove: without timings a test that is added leaves nearly all others where they were.
func TestFewMove(t *testing.T) {
	for _, name := range suites {
		packages, _ := suite(t, name)
		for _, n := range []int{2, 5} {
			before := ids(t, Divide(packages, n, false, nil), n)
			moved, tries := 0, 0
			for i := 0; i < len(packages); i += 1 + len(packages)/20 {
				more := slices.Clone(packages)
				more[i].Items = append(slices.Clone(more[i].Items), gotest.Item{Name: fmt.Sprintf("TestNew%d", i)})
				tries++
				for id, k := range ids(t, Divide(more, n, false, nil), n) {
					if before[id] != 0 && before[id] != k {
						moved++
					}
				}
			}
			share := float64(moved) / float64(tries) / float64(len(before))
			t.Logf("%s/%d: %.4f", name, n, share)
			if share > 0.02 {
				t.Errorf("%s/%d: %.1f %% of the tests move when one is added", name, n, 100*share)
			}
		}
	}
}

// TestTogether: groups and serial packages are in one part, also where one leads to the other.
func TestTogether(t *testing.T) {
	group := func(name string) *gotest.Directives { return &gotest.Directives{Group: name} }
	var packages []gotest.Package
	for i := range 8 {
		p := gotest.Package{ImportPath: fmt.Sprintf("p%d", i), Serial: i == 3}
		for j := range 10 {
			it := gotest.Item{Name: fmt.Sprintf("Test%d", j)}
			switch {
			case j == 2 && i < 4:
				it.Directives = group("g")
			case j == 3 && (i == 3 || i == 5):
				it.Directives = group("h")
			case j == 5 && i > 5:
				it.Directives = group("i")
			}
			p.Items = append(p.Items, it)
		}
		packages = append(packages, p)
	}
	cost := func(string, string) time.Duration { return time.Second }
	for _, c := range []Cost{nil, cost} {
		got := ids(t, Divide(packages, 4, false, c), 4)
		if len(got) != 80 {
			t.Fatalf("%d of 80 tests", len(got))
		}
		one := got["p3::Test0"] // p3 is serial, and both g and h are in it
		for i := range 10 {
			for _, id := range []string{fmt.Sprintf("p3::Test%d", i), fmt.Sprintf("p%d::Test2", i%4), "p5::Test3"} {
				if got[id] != one {
					t.Errorf("%s is in part %d, p3 in %d", id, got[id], one)
				}
			}
		}
		if got["p6::Test5"] != got["p7::Test5"] {
			t.Error("group i is in two parts")
		}
	}
}

// TestUnknownCost: a test that has no timing is taken for one like the others of its package.
func TestUnknownCost(t *testing.T) {
	packages := []gotest.Package{
		{ImportPath: "slow", Items: []gotest.Item{{Name: "TestA"}, {Name: "TestNew"}}},
		{ImportPath: "fast", Items: []gotest.Item{{Name: "TestA"}, {Name: "TestB"}, {Name: "TestC"}, {Name: "TestNew"}}},
		{ImportPath: "new", Items: []gotest.Item{{Name: "TestA"}}},
	}
	cost := func(pkg, test string) time.Duration {
		switch {
		case test == "TestNew" || pkg == "new":
			return 0
		case pkg == "slow":
			return 10 * time.Second
		}
		return time.Second
	}
	var sum time.Duration
	for _, l := range Divide(packages, 2, false, cost).Loads {
		sum += l.Time
	}
	if want := 25 * time.Second; sum != want {
		t.Errorf("expected in all: %v, want %v", sum, want)
	}
}

func TestParse(t *testing.T) {
	if p, err := Parse("2/5"); err != nil || p != (Part{2, 5}) || p.String() != "2/5" {
		t.Errorf("%v, %v", p, err)
	}
	for _, text := range []string{"", "2", "0/5", "6/5", "1/0", "-1/2", "a/b", "1/2/3", "1/99999", " 1/2"} {
		if p, err := Parse(text); err == nil {
			t.Errorf("%q was taken for %v", text, p)
		}
	}
}

func BenchmarkDivide(b *testing.B) {
	packages, cost := suite(b, "go-std-short")
	for b.Loop() {
		Divide(packages, 16, false, cost)
	}
}

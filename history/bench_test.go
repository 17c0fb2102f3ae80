package history

import (
	"fmt"
	"testing"
	"time"
)

// suite is a run of n tests with two subtests each, in packages of a hundred.
func suite(n, tests int) Run {
	run := aRun(n)
	run.Tests = make([]TestRun, 0, 3*tests)
	for i := range tests {
		t := TestRun{
			Platform: linux, Package: fmt.Sprintf("%s/%05d", pkg, i/100), Test: fmt.Sprintf("TestNumber%d", i), Gateway: "gw0",
			Verdict: Pass, Elapsed: time.Duration(n+i) * time.Microsecond, Expected: time.Duration(i+1) * time.Microsecond,
		}
		for _, sub := range []string{"", "/first", "/second"} {
			s := t
			s.Test += sub
			run.Tests = append(run.Tests, s)
		}
		if i%10 == 0 {
			run.Units = append(run.Units, UnitRun{Gateway: "gw0", Platform: linux, Package: t.Package})
		}
		u := &run.Units[len(run.Units)-1]
		u.Tests = append(u.Tests, t.Test)
	}
	return run
}

// BenchmarkBook reads, asks for every test, and records, at 1,000 and 60,000 tests with two
// subtests each.
func BenchmarkBook(b *testing.B) {
	for _, tests := range []int{1_000, 60_000} {
		dir := b.TempDir()
		for n := range keptObservations {
			if err := Record(dir, module, suite(n, tests)); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("open-%d", tests), func(b *testing.B) {
			for b.Loop() {
				if _, err := Open(dir, module); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("ask-%d", tests), func(b *testing.B) {
			for b.Loop() {
				book, err := Open(dir, module)
				if err != nil {
					b.Fatal(err)
				}
				for _, t := range suite(0, tests).Tests {
					if _, ok := book.Test(linux, t.Package, t.Test); !ok {
						b.Fatal(t.Test)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*3*tests), "µs/test")
		})
		b.Run(fmt.Sprintf("record-%d", tests), func(b *testing.B) {
			run := suite(99, tests)
			for b.Loop() {
				if err := Record(dir, module, run); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

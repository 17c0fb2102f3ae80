package history

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func aRecord() *packageRecord {
	b := &Book{}
	random := rand.New(rand.NewPCG(3, 4))
	for n := range 4 {
		run := aRun(n)
		for _, test := range []string{"TestA", "TestA/x", "TestA/x/y", "TestA-b", "TestÄ", "TestB"} {
			t := took(test, random.IntN(5000))
			t.Verdict = []Verdict{Pass, Skip, Fail, Crash}[random.IntN(4)]
			run.Tests = append(run.Tests, aRun(n, t).Tests...)
		}
		run.Packages = []PackageRun{{Platform: linux, Package: pkg, Key: "k", Process: time.Duration(random.Int64N(1e9))}}
		run.Lessons = []Lesson{{Platform: linux, Package: pkg, Kind: Serial, Until: "k"}, {Platform: linux, Package: pkg, Test: "TestA", Kind: Indivisible}}
		run.Partial = true
		b.Learn(run)
	}
	return b.packages[place{pkg, linux}]
}

func TestPackageRecordIsReadAgain(t *testing.T) {
	want := aRecord()
	value, err := seal(want, 7)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := seenAt(value); at != 7 || err != nil {
		t.Errorf("seen at %d, %v", at, err)
	}
	var got packageRecord
	if err := open(value, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*want, got, cmp.AllowUnexported(packageRecord{}), cmpopts.IgnoreFields(packageRecord{}, "sorted")); diff != "" {
		t.Error(diff)
	}
	for i := range value {
		bad := append([]byte(nil), value...)
		bad[i] ^= 0x40
		if err := open(bad, &packageRecord{}); err == nil {
			t.Errorf("byte %d of %d was altered: no error", i, len(value))
		}
		if err := open(value[:i], &packageRecord{}); err == nil {
			t.Errorf("cut to %d of %d bytes: no error", i, len(value))
		}
	}
}

// FuzzPackageRecord: no panic, and what was read comes out the same.
func FuzzPackageRecord(f *testing.F) {
	f.Add(aRecord().append(nil))
	f.Add((&packageRecord{}).append(nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p, again packageRecord
		if p.read(text) != nil {
			return
		}
		if err := again.read(p.append(nil)); err != nil {
			t.Fatalf("what it was made of is not read: %v", err)
		}
		if diff := cmp.Diff(p, again, cmp.AllowUnexported(packageRecord{})); diff != "" {
			t.Error(diff)
		}
	})
}

package merge

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/shard"
)

// Whole holds files against what their trailers say: the parts of a sharded run must all be there,
// once, and each to its end. Events and JUnit reports are two accounts, each of which is held
// against this when one of its files has a trailer; a file without anything in it is one of events,
// and none of a shard. It returns the files that can be merged, in their order, and what is wrong
// with the rest, in words that name the file or the shard.
func Whole(files []*File) (usable []*File, gaps []string) {
	left := make(map[*File]bool)
	sharded := false
	for _, kind := range []Kind{KindEvents, KindJUnit} {
		a := account{kind: kind, left: left}
		a.check(files)
		gaps = append(gaps, a.gaps...)
		sharded = sharded || a.n > 0
	}
	for _, f := range files {
		if sharded && f.empty && !left[f] {
			gaps = append(gaps, f.Name+" is empty")
			left[f] = true
		}
		if !left[f] {
			usable = append(usable, f)
		}
	}
	return usable, gaps
}

// account is the check of the files of one kind.
type account struct {
	kind Kind
	n    int   // shards that there should be; 0 is no sharded run
	plan *File // the first that says how the suite was divided
	flag *File // the first of a shard
	left map[*File]bool
	gaps []string
}

func (a *account) gap(format string, args ...any) {
	a.gaps = append(a.gaps, fmt.Sprintf(format, args...))
}

func (a *account) check(files []*File) {
	for _, f := range files {
		if f.Kind == a.kind && f.Shard != nil {
			a.n = max(a.n, f.Shard.Part.N)
		}
	}
	owner := make(map[int]*File)
	for _, f := range files {
		if f.Kind == a.kind {
			a.file(f, owner)
		}
	}
	for k := 1; k <= a.n; k++ {
		if owner[k] == nil {
			a.gap("no file with %s is of shard %d/%d", a.kind, k, a.n)
		}
	}
}

// file says what is wrong with one file, and books it as the owner of its shard.
func (a *account) file(f *File, owner map[int]*File) {
	switch {
	case f.cut != "":
		a.gap("%s is cut off: %s", f.Name, f.cut)
		a.left[f] = f.Kind == KindJUnit // nothing could be read of it
		return
	case a.n == 0, f.empty:
		return
	case f.Shard == nil:
		a.gap("%s does not say of which shard it is: its job did not come to its end, or is none of this run", f.Name)
		return
	case f.Shard.Part.N != a.n:
		a.gap("%s is of shard %s, and others are of %d shards", f.Name, f.Shard.Part, a.n)
		return
	}
	k := f.Shard.Part.K
	if had := owner[k]; had != nil {
		a.gap("%s and %s are both of shard %s; the second was left out", had.Name, f.Name, f.Shard.Part)
		a.left[f] = true
		return
	}
	owner[k] = f
	switch {
	case f.Shard.Plan == "":
	case a.plan == nil:
		a.plan = f
	case a.plan.Shard.Plan != f.Shard.Plan:
		a.gap("%s and %s divide the suite differently, so that a test may be in neither: give all shards the same sources, packages, flags and --timings", a.plan.Name, f.Name)
	}
	if a.flag == nil {
		a.flag = f
	}
	if had := a.flag.Shard.Flags; had != f.Shard.Flags {
		a.gap("%s was run with %s and %s with %s, so that they are no parts of one run", a.flag.Name, orNone(had), f.Name, orNone(f.Shard.Flags))
	}
	if f.Shard.behind {
		a.gap("%s goes on behind the end of shard %s", f.Name, f.Shard.Part)
	}
	if has, want := f.items(), f.Shard.Items-f.Shard.NotRun; has < want {
		a.gap("%s has %d of the %d tests that shard %s has run", f.Name, has, want, f.Shard.Part)
	}
}

func orNone(flags string) string { return cmp.Or(flags, "no such flags") }

// Shard is what a report says of the shard that it is of.
type Shard struct {
	Part   shard.Part
	Items  int    // that it has to account for
	Plan   string // how the suite was divided, "" when the file does not say
	Flags  string // gotest.Command.RunFlags of its run
	NotRun int    // of those, the ones that the file has nothing of

	behind bool // the file goes on after it has said so
}

func newShard(t reporters.Trailer) (*Shard, error) {
	part, err := shard.Parse(t.Shard)
	if err == nil && (t.NotRun < 0 || t.Items < t.NotRun) {
		err = fmt.Errorf("shard %s: %d of %d items were not run", t.Shard, t.NotRun, t.Items)
	}
	return &Shard{Part: part, Items: t.Items, Plan: t.Plan, Flags: t.Flags, NotRun: t.NotRun}, err
}

// items is how many top-level tests the file has something of.
func (f *File) items() int {
	if f.Kind == KindJUnit {
		return f.JUnit.Items()
	}
	seen := make(map[string]bool)
	for _, e := range f.Events {
		if e.Test != "" && !strings.Contains(e.Test, "/") && !strings.HasPrefix(e.Test, "Benchmark") {
			seen[gotest.ID(e.Package, e.Test)] = true
		}
	}
	return len(seen)
}

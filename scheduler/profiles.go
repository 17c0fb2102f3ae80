package scheduler

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// The cover profiles of all packages are kept in one cover.Table until their packages are closed.
// It has a bound, as have a process and a node. A process or node beyond its own is ended. When it
// is all together that is too much nobody is to blame. Profiles of one package are merged then, and
// the package that has most left goes without, which is an error of the report and ends no node.
const (
	// allProfiles is for all packages. The largest program seen takes 10 MB of it.
	allProfiles = 64 << 20
	// nodeProfiles is for what the profiles of one node have brought that the table had not.
	nodeProfiles = 32 << 20
)

// covering is what has become of the profiles of a package.
type covering struct {
	folded    int  // that were merged with the first of its results
	uncovered bool // they were too large, and are not kept
}

// profile is that of a process which has ended. A nil profile is none.
type profile struct {
	*cover.Counts
	node *node // nil for one that was merged of several
	size int   // what the table took for it; part of the node's profiled
}

func (p *profile) release() {
	if p == nil {
		return
	}
	if p.node != nil {
		p.node.profiled -= p.size
	}
	p.Counts.Release()
}

// hearProfile takes a part of the cover profile of n's process.
func (c *controller) hearProfile(n *node, part []byte) error {
	j := n.job
	switch {
	case len(part) == 0:
		return nil
	case len(part) > wire.ProfilePart:
		return fmt.Errorf("a part of a cover profile has %d bytes, and may have %d", len(part), wire.ProfilePart)
	case j.profile == nil:
		mode, err := cover.ParseMode(c.cfg.Command.CoverMode)
		if err != nil {
			return nil // it was reported when the run began
		}
		if j.profile = c.table.Intake(mode); j.pkg.uncovered {
			j.profile.Drop()
		}
	}
	return j.profile.Add(part)
}

// readProfile takes the end of the cover profile of n's process. One that died may have left a part
// of it, which nobody can read.
func (c *controller) readProfile(n *node, r *unit.Result) error {
	j := n.job
	if j.profile == nil {
		return nil
	}
	in := j.profile
	j.profile = nil
	counts, err := in.End()
	switch {
	case errors.Is(err, cover.ErrDropped), err != nil && r.Failed && r.Verdict == "":
		return nil
	case err != nil:
		return err
	}
	j.covered = &profile{counts, n, in.Added()}
	if n.profiled += in.Added(); n.profiled > nodeProfiles {
		return fmt.Errorf("its cover profiles take more than %d MiB beyond what others have said", nodeProfiles>>20)
	}
	return nil
}

// takeCovered hands over the profile of the job's process.
func (j *job) takeCovered() *profile {
	covered := j.covered
	j.covered = nil
	return covered
}

// dropProfile gives up what nobody has taken of the job's profile.
func (j *job) dropProfile() {
	j.profile.Drop()
	j.takeCovered().release()
}

// fitProfiles makes room when the profiles of all packages are too large together.
func (c *controller) fitProfiles() {
	if c.table.Size() <= c.mostProfiles {
		return
	}
	c.giveUpIdle(nil, "there are too many profiles to wait for it")
	for _, p := range c.byCoverage() {
		if c.table.Size() > c.mostProfiles*3/4 {
			c.fold(p)
		}
	}
	if c.table.Size() <= c.mostProfiles {
		return
	}
	for _, p := range c.byCoverage() {
		if p.goUncovered(); c.table.Size() <= c.mostProfiles {
			return
		}
	}
}

// byCoverage are the packages that have profiles, those with most first.
func (c *controller) byCoverage() []*pkg {
	sizes := make(map[*pkg]int)
	for _, p := range c.pkgs {
		if size := p.coverSize(); size > 0 {
			sizes[p] = size
		}
	}
	return slices.SortedFunc(maps.Keys(sizes), func(a, b *pkg) int { return cmp.Or(sizes[b]-sizes[a], int(a.num)-int(b.num)) })
}

// coverSize is how much less the table would take without p.
func (p *pkg) coverSize() int {
	size := 0
	for _, r := range p.results {
		if r.covered != nil {
			size += r.covered.Size()
		}
	}
	for _, j := range p.jobs {
		if size += j.profile.Added(); j.covered != nil {
			size += j.covered.Size()
		}
	}
	return size
}

// fold merges the profiles that p has so far.
func (c *controller) fold(p *pkg) {
	first, profiles := -1, []*cover.Counts(nil)
	for i, r := range p.results {
		if r.covered == nil {
			continue
		}
		if first < 0 {
			first = i
		}
		profiles = append(profiles, r.covered.Counts)
	}
	mode, err := cover.ParseMode(c.cfg.Command.CoverMode)
	if len(profiles) < 2 || err != nil {
		return
	}
	merged, err := c.table.Merge(mode, profiles)
	if err != nil {
		return // it will be said when the package is closed
	}
	p.dropProfiles()
	p.results[first].covered = &profile{Counts: merged}
	p.folded += len(profiles) - 1
}

// goUncovered gives up what is known of p's coverage, and what will come.
func (p *pkg) goUncovered() {
	p.uncovered = true
	p.dropProfiles()
	for _, j := range p.jobs {
		j.dropProfile()
	}
}

// dropProfiles releases the profiles of the package's processes.
func (p *pkg) dropProfiles() {
	for i := range p.results {
		p.results[i].covered.release()
		p.results[i].covered = nil
	}
}

// dropResults forgets how the package's processes ended.
func (p *pkg) dropResults() {
	p.dropProfiles()
	p.results, p.folded = nil, 0
}

// tellRepeats says that what processes run besides tests is in the profile of p several times.
func (c *controller) tellRepeats(p *pkg, processes int, why error) {
	c.emit(event.Warning{Text: fmt.Sprintf("%s: what it runs besides its tests is in -coverprofile once for each of %d processes: %v", p.shown, processes, why)})
}

package scheduler

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/policy"
)

// What a package runs besides its tests, the initialisation of its variables, init functions and
// TestMain, runs in each of the processes of a package that was split. Where runs are counted, the
// profile has to have it once. What it is shows in an idle run: the binary runs once more when all
// else of the package has ended, with a pattern that matches no test. Nothing waits for that but
// the profile, and nothing else is said of it; one that fails leaves the sums.

// coverage returns the line about the coverage of a package, "" without -cover. The processes of a
// split package have counted a part each; their profiles are merged block by block. What a package
// adds to -coverprofile is written here, or after its idle run.
func (c *controller) coverage(p *pkg) string {
	switch {
	case !c.cfg.Command.Cover || len(p.results) == 0:
		return ""
	case p.ranWhole() && c.profile == nil:
		return p.results[0].Coverage
	case p.uncovered:
		c.reportFault(fmt.Errorf("the coverage of %s is not known: its profiles had no room in the %d MiB that the profiles of all packages may take", p.shown, c.mostProfiles>>20))
		return ""
	}
	counts, err := countsOf(c.cfg.Command, p)
	if err != nil {
		c.reportFault(fmt.Errorf("merge the coverage of %s: %w", p.shown, err))
		return ""
	}
	whole, idle := p.ranWhole(), c.wantsIdle(p, counts)
	ran, total, err := c.addProfiles(counts, nil, !idle)
	switch {
	case err != nil:
		c.reportFault(fmt.Errorf("merge the coverage of %s: %w", p.shown, err))
		return ""
	case whole:
		return p.results[0].Coverage
	case len(counts.profiles) == 0:
		return ""
	case idle:
		p.counts = counts
		for i := range p.results {
			p.results[i].covered = nil // they are in counts now
		}
		p.pool.policy.Owe(p.num)
	case p.folded > 0 && c.profile != nil && counts.mode != cover.ModeSet:
		c.tellRepeats(p, len(counts.profiles)+p.folded, errors.New("they were too large to be kept apart"))
	}
	return cover.Summary(ran, total, c.cfg.Command.CoverPkg...)
}

// counts are the profiles of the processes of a package that was split. They are also the errand of
// its idle run.
type counts struct {
	mode     cover.Mode
	profiles []*profile
	limit    time.Duration // of the idle run
}

// leastIdle is a time in which any idle run may be expected to end, also on a host that has more to
// do by now.
const leastIdle = 5 * time.Second

// countsOf has the profiles of p. They may be none.
func countsOf(cmd *gotest.Command, p *pkg) (*counts, error) {
	mode, err := cover.ParseMode(cmd.CoverMode)
	if err != nil {
		return nil, err
	}
	out := &counts{mode: mode}
	for _, r := range p.results {
		if r.covered == nil {
			continue // it died before it could write one, as under go test
		}
		out.profiles = append(out.profiles, r.covered)
		// It does no more than any of these did.
		if out.limit == 0 || r.Wall < out.limit {
			out.limit = r.Wall
		}
	}
	out.limit = max(out.limit, leastIdle)
	return out, nil
}

// wantsIdle reports whether a package with these counts needs an idle run. A replay chooses no
// units of its own.
func (c *controller) wantsIdle(p *pkg, counts *counts) bool {
	return c.profile != nil && p.folded == 0 && counts.mode != cover.ModeSet && len(counts.profiles) > 1 && c.stopped == "" && c.replay == nil
}

func (*counts) ask(*job) (names []string, part *unit.Part) { return []string{}, nil }

func (*counts) event(*controller, *node, test2json.Event) {}

func (counts *counts) end(c *controller, n *node, end jobEnd, r *unit.Result) policy.Outcome {
	j, why := n.job, ""
	switch {
	case r != nil && r.Interrupted && !j.stopped():
		why = fmt.Sprintf("it had not ended after %v", counts.limit)
	case r == nil || end.failed:
		why = end.how
	case j.covered == nil:
		why = "it has left no profile"
	}
	c.endIdle(j.pkg, j.covered, why)
	return policy.Outcome{}
}

// endIdle writes the profile of a package whose idle run is over. why is why there is nothing of
// it, or "".
func (c *controller) endIdle(p *pkg, idle *profile, why string) {
	counts := p.counts
	p.counts, p.ready = nil, nil
	var none *cover.Counts
	if why == "" {
		none = idle.Counts
	} else if c.stopped == "" {
		c.tellRepeats(p, len(counts.profiles), fmt.Errorf("a run without tests failed: %s", why))
	}
	_, _, err := c.addProfiles(counts, none, true)
	c.reportFault(err)
	for _, covered := range counts.profiles {
		covered.release()
	}
}

// giveUpIdle ends the idle runs of a pool, or with nil of all, that nobody has been given.
func (c *controller) giveUpIdle(t *pool, why string) {
	for _, p := range c.pkgs {
		if p.counts != nil && len(p.jobs) == 0 && (t == nil || p.pool == t) {
			p.pool.policy.Drop(p.num)
			c.endIdle(p, nil, why)
		}
	}
}

// addProfiles merges profiles, with one of an idle run or nil, and has how many statements they
// have. What comes of it is added to -coverprofile where there is one, and that is wanted.
func (c *controller) addProfiles(counts *counts, idle *cover.Counts, wanted bool) (ran, total uint64, err error) {
	var profiles []*cover.Counts
	for _, p := range counts.profiles {
		profiles = append(profiles, p.Counts)
	}
	batch := &cover.Profile{Mode: counts.mode}
	flush := func(least int) {
		if c.profile == nil || !wanted || len(batch.Blocks) < least {
			return
		}
		if err := c.profile.Add(batch); err != nil {
			c.reportFault(fmt.Errorf("write -coverprofile: %w", err))
		}
		batch.Blocks = batch.Blocks[:0]
	}
	err = cover.MergeCounts(counts.mode, idle, profiles, func(p *cover.Profile) error {
		r, t := p.Statements()
		ran, total = ran+r, total+t
		if c.profile != nil && wanted {
			batch.Blocks = append(batch.Blocks, p.Blocks...)
			flush(profileBatch)
		}
		return nil
	})
	flush(1)
	return ran, total, err
}

// profileBatch is how many blocks are written to -coverprofile at once, some 50 KB.
const profileBatch = 1 << 10

// addProfileText adds what go test itself has written to -coverprofile.
func (c *controller) addProfileText(profile []byte) error {
	if c.profile == nil || len(profile) == 0 {
		return nil
	}
	if err := c.profile.Copy(bytes.NewReader(profile)); err != nil {
		return fmt.Errorf("write -coverprofile: %w", err)
	}
	return nil
}

// openProfile creates -coverprofile, so that one that cannot be written is known before the tests
// run.
func (c *controller) openProfile() error {
	cmd := c.cfg.Command
	if cmd.CoverProfile == "" {
		return nil
	}
	name := cmd.CoverProfile
	if !filepath.IsAbs(name) {
		name = filepath.Join(cmd.OutputDir, name)
	}
	mode, err := cover.ParseMode(cmd.CoverMode)
	if err != nil {
		return err
	}
	if c.profileFile, err = os.Create(name); err != nil {
		return fmt.Errorf("create -coverprofile: %w", err)
	}
	if c.profile, err = cover.NewWriter(c.profileFile, mode); err != nil {
		c.profileFile.Close() // the first error is the one to report
		return fmt.Errorf("create -coverprofile: %w", err)
	}
	return nil
}

// closeProfile ends the file.
func (c *controller) closeProfile() error {
	if c.profile == nil {
		return nil
	}
	if err := c.profileFile.Close(); err != nil {
		return fmt.Errorf("write -coverprofile: %w", err)
	}
	return nil
}

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
	"github.com/xdist-go/xdist/scheduler/event"
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
	if !c.cfg.Command.Cover || len(p.results) == 0 {
		return ""
	}
	if p.ranWhole() {
		c.reportFault(c.addProfile(p.results[0].covered))
		return p.results[0].Coverage
	}
	counts, err := countsOf(c.cfg.Command, p)
	var merged *cover.Profile
	if err == nil && len(counts.profiles) > 0 {
		merged, err = cover.Merge(counts.mode, counts.profiles...)
	}
	switch {
	case err != nil:
		c.reportFault(fmt.Errorf("merge the coverage of %s: %w", p.shown, err))
		return ""
	case merged == nil:
		return ""
	case c.wantsIdle(counts):
		p.counts = counts
		p.pool.policy.Owe(p.num)
	default:
		c.reportFault(c.addProfile(merged))
	}
	return merged.Summary(c.cfg.Command.CoverPkg...)
}

// counts are the profiles of the processes of a package that was split. They are also the errand of
// its idle run.
type counts struct {
	mode     cover.Mode
	profiles []*cover.Profile
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
func (c *controller) wantsIdle(counts *counts) bool {
	return c.profile != nil && counts.mode != cover.ModeSet && len(counts.profiles) > 1 && c.stopped == "" && c.replay == nil
}

func (*counts) ask(*job) (names []string, part *unit.Part) { return []string{}, nil }

func (*counts) event(*controller, *node, test2json.Event) {}

func (counts *counts) end(c *controller, n *node, end jobEnd, r *unit.Result) policy.Outcome {
	j, why := n.job, ""
	switch {
	case r != nil && r.Interrupted && !j.stopped:
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
func (c *controller) endIdle(p *pkg, idle *cover.Profile, why string) {
	counts := p.counts
	p.counts, p.ready = nil, nil
	var merged *cover.Profile
	err := errors.New(why)
	if why == "" {
		merged, err = cover.MergeSplit(counts.mode, idle, counts.profiles...)
	}
	if err != nil {
		if c.stopped == "" {
			c.emit(event.Warning{Text: fmt.Sprintf("%s: what it runs besides its tests is in -coverprofile once for each of %d processes: a run without tests failed: %v", p.shown, len(counts.profiles), err)})
		}
		merged, err = cover.Merge(counts.mode, counts.profiles...)
	}
	if err == nil {
		err = c.addProfile(merged)
	}
	c.reportFault(err)
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

// addProfile adds the profile of a package, which may be nil, to -coverprofile.
func (c *controller) addProfile(p *cover.Profile) error {
	if c.profile == nil || p == nil {
		return nil
	}
	if err := c.profile.Add(p); err != nil {
		return fmt.Errorf("write -coverprofile: %w", err)
	}
	return nil
}

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

package scheduler

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/cover"
)

// coverage returns the line about the coverage of a package, "" without -cover. The processes of a
// split package have counted a part each; their profiles are merged block by block. What a package
// adds to -coverprofile is written here.
func (c *controller) coverage(p *pkg) string {
	if !c.cfg.Command.Cover || len(p.results) == 0 {
		return ""
	}
	if p.ranWhole() {
		c.reportFault(c.addProfile(p.results[0].Profile))
		return p.results[0].Coverage
	}
	merged, err := mergeProfiles(c.cfg.Command, p)
	if err == nil && merged != nil {
		err = c.addProfile(merged.Append(nil))
	}
	if err != nil {
		c.reportFault(fmt.Errorf("merge the coverage of %s: %w", p.shown, err))
	}
	if err != nil || merged == nil {
		return ""
	}
	return merged.Summary(c.cfg.Command.CoverPkg...)
}

// mergeProfiles returns nil when no process of p has written a profile.
func mergeProfiles(cmd *gotest.Command, p *pkg) (*cover.Profile, error) {
	mode, err := cover.ParseMode(cmd.CoverMode)
	if err != nil {
		return nil, err
	}
	var parts []*cover.Profile
	for _, r := range p.results {
		if len(r.Profile) == 0 {
			continue // it died before it could write one, as under go test
		}
		part, err := cover.Parse(bytes.NewReader(r.Profile))
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return nil, nil
	}
	return cover.Merge(mode, parts...)
}

// addProfile adds a text profile, as a rule that of one package, to -coverprofile.
func (c *controller) addProfile(profile []byte) error {
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

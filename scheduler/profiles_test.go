package scheduler

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/scheduler/event"
)

// When the profiles of all packages are too large together, those of a package are merged, and then
// a package goes without. No node is ended; where the profile is not whole the run has an error.
func TestProfilesOfAllNodes(t *testing.T) {
	for _, tt := range []struct {
		name, mode string
		fold       bool // the first two
		most       int
		warning    string
		err        string
	}{
		{name: "room", mode: "count", most: allProfiles},
		{name: "merged", mode: "count", most: allProfiles, fold: true, warning: "they were too large to be kept apart"},
		{name: "merged, of mode set", mode: "set", most: allProfiles, fold: true},
		{name: "no room", mode: "count", most: 1, err: "the coverage of p is not known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, file := coveredWorld(t, tt.mode, nil)
			var c *controller
			w.adjust = func(made *controller) { c, made.mostProfiles = made, tt.most }
			folded := false
			s, r, err := w.runWith(t.Context(), func(event.Event) {
				for _, p := range c.pkgs {
					if tt.fold && !folded {
						c.fold(p)
						folded = p.folded > 0
					}
				}
			})
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if folded != tt.fold {
				t.Errorf("merged before the end: %t", folded)
			}
			w.check(s, r)
			w.wantCounts(s, map[event.Verdict]int{event.Pass: 200})
			warning := ""
			for _, e := range r.events {
				switch e := e.(type) {
				case event.GatewayDown:
					if strings.Contains(e.Reason, "refuse") {
						t.Errorf("%s ended: %s", e.Gateway, e.Reason)
					}
				case event.Warning:
					warning += e.Text
				}
			}
			if (warning != "") != (tt.warning != "") || !strings.Contains(warning, tt.warning) {
				t.Errorf("warnings %q, want %q", warning, tt.warning)
			}
			if tt.err == "" {
				begins, tests := countsIn(t, file)
				if want := map[string]int{"set": 1, "count": 200}[tt.mode]; tests != want || (begins > 3) != (tt.warning != "") {
					t.Errorf("counts %d and %d", begins, tests)
				}
			}
		})
	}
}

// The profiles of a package are merged where that is enough, those of the largest first, and one
// that is larger than all others together goes without.
func TestFitProfiles(t *testing.T) {
	cmd, err := gotest.ParseCommand([]string{"-covermode=count", "./..."}, "")
	if err != nil {
		t.Fatal(err)
	}
	c := newController(Config{Command: cmd})
	add := func(profiles, blocks int) *pkg {
		p := new(pkg)
		for range profiles {
			in := c.table.Intake(cover.ModeCount)
			text := "mode: count\n"
			for i := range blocks {
				text += fmt.Sprintf("p%d/a.go:%d.1,%d.2 1 %d\n", len(c.pkgs), i, i, 1<<24)
			}
			if err := in.Add([]byte(text)); err != nil {
				t.Fatal(err)
			}
			counts, err := in.End()
			if err != nil {
				t.Fatal(err)
			}
			p.results = append(p.results, processEnd{covered: &profile{Counts: counts}})
		}
		c.pkgs = append(c.pkgs, p)
		return p
	}
	small, many, large := add(3, 10), add(30, 100), add(1, 3000)
	for _, tt := range []struct {
		most      int
		folded    [3]int
		uncovered [3]bool
	}{
		{c.table.Size(), [3]int{}, [3]bool{}},
		{c.table.Size() - 1, [3]int{0, 29, 0}, [3]bool{}},
		{large.coverSize(), [3]int{2, 29, 0}, [3]bool{false, false, true}},
		{1, [3]int{2, 29, 0}, [3]bool{true, true, true}},
	} {
		c.mostProfiles = tt.most
		c.fitProfiles()
		for i, p := range []*pkg{small, many, large} {
			if p.folded != tt.folded[i] || p.uncovered != tt.uncovered[i] {
				t.Errorf("at most %d bytes: package %d has %d profiles merged, and goes without: %t", tt.most, i, p.folded, p.uncovered)
			}
		}
		if c.table.Size() > tt.most {
			t.Errorf("%d bytes, and at most %d", c.table.Size(), tt.most)
		}
	}
}

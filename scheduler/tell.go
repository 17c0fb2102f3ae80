package scheduler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/scheduler/event"
)

// acquittals names the tests of p that have failed and passed then.
func (p *pkg) acquittals() []string {
	var names []string
	for i, t := range p.trials {
		if v := p.verdicts[i]; t.Tries() > 0 && (v == event.Pass || v == event.Skip) {
			names = append(names, p.names[i])
		}
	}
	slices.Sort(names)
	return names
}

// inCircumstances makes the fingerprint of a failure one of what the run is in as well, and the
// other way round: what a test failed for in other circumstances proves nothing. 0 stays what it
// is, and an odd one odd.
func (c *controller) inCircumstances(print uint64) uint64 {
	if print == 0 {
		return 0
	}
	return print ^ c.cfg.Circumstances&^1
}

// tell says which tests xdist had to run twice, how to avoid it, and what is to be remembered.
func (c *controller) tell(p *pkg) {
	lesson := func(l history.Lesson) {
		l.Platform, l.Package = p.pool.supply.name, p.path
		c.emit(event.Learned{Lesson: l})
	}
	names := p.acquittals()
	if p.stage == stageSplit {
		kind := history.Split
		if len(names) > 0 || p.unity == unityNeeded {
			kind = history.Changed
		}
		lesson(history.Lesson{Kind: kind})
	}
	for _, l := range p.prints {
		if l.Kind == history.Failed {
			l.Print = c.inCircumstances(l.Print)
		}
		lesson(l)
	}
	for i, red := range p.reds {
		lesson(history.Lesson{Kind: history.Red, Test: p.names[i], Undone: !red, Until: p.key})
	}
	if p.unity == unityNeeded {
		lesson(history.Lesson{Kind: history.Serial, Until: p.key})
		c.emit(event.Warning{Text: fmt.Sprintf("%s: does otherwise in several processes than in one; it will run in one from now on", p.shown)})
		return
	}
	if len(names) == 0 {
		return
	}
	const shown = 5
	list := strings.Join(names[:min(shown, len(names))], ", ")
	if more := len(names) - shown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	cause, remedy := "the package was split", "--dist loadscope runs a package in one process"
	if p.isolated {
		cause, remedy = "its host had more processes than processors", "name fewer gateways for it"
	}
	c.emit(event.Warning{Text: fmt.Sprintf("%s: failed while %s and passed when run again: %s; %s", p.shown, cause, list, remedy)})
}

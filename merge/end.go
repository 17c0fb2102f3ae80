package merge

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/gotest/test2json"
)

func (m *merger) sorted() []string { return slices.Sorted(maps.Keys(m.packages)) }

// end makes the events that end a package, and counts it.
func (m *merger) end(p *pkg) {
	end := p.terminal()
	if end.Action == test2json.ActionFail {
		if end.FailedBuild != "" || slices.ContainsFunc(p.parts, setupFailed) {
			m.out.Summary.BuildFailed++
		} else {
			m.out.Summary.Failed++
		}
	}
	lines := p.parts[0].held
	if len(p.parts) > 1 {
		lines = p.closing(end, m.coverage(p))
	}
	for _, e := range lines {
		m.emit(e)
	}
	m.emit(end)
}

func setupFailed(pt part) bool {
	return slices.ContainsFunc(pt.held, func(e test2json.Event) bool {
		return strings.HasSuffix(e.Output, " [setup failed]\n") || strings.HasSuffix(e.Output, " [build failed]\n")
	})
}

// terminal is the last event: the worst of the parts, with the time of all of them.
func (p *pkg) terminal() test2json.Event {
	rank := []string{test2json.ActionSkip, test2json.ActionPass, test2json.ActionFail}
	end, sum := p.parts[0].end, 0.0
	for _, pt := range p.parts {
		if pt.end.Elapsed != nil {
			sum += *pt.end.Elapsed
		}
		if slices.Index(rank, pt.end.Action) > slices.Index(rank, end.Action) {
			end.Action = pt.end.Action
		}
		if pt.end.FailedBuild != "" {
			end.FailedBuild = pt.end.FailedBuild
		}
		if pt.end.Time.After(end.Time) {
			end.Time = pt.end.Time
		}
	}
	end.Elapsed = &sum
	return end
}

// closing are the lines that end a package of several parts, as one process would have ended it.
func (p *pkg) closing(end test2json.Event, coverage string) []test2json.Event {
	var lines []string
	said := func(line string) bool {
		return slices.ContainsFunc(p.parts, func(pt part) bool {
			return slices.ContainsFunc(pt.held, func(e test2json.Event) bool { return e.Output == line })
		})
	}
	for _, verdict := range []string{"FAIL\n", "PASS\n"} {
		if said(verdict) {
			lines = append(lines, verdict)
			break
		}
	}
	if coverage != "" {
		lines = append(lines, coverage+"\n")
	}
	lines = append(lines, p.result(end, coverage))
	var events []test2json.Event
	for _, line := range lines {
		if line != "" {
			events = append(events, test2json.Event{Time: end.Time, Action: test2json.ActionOutput, Package: p.name, Output: line})
		}
	}
	return events
}

// result is the line that begins with ok, FAIL or ?.
func (p *pkg) result(end test2json.Event, coverage string) string {
	var own []string // the parts' own
	for _, pt := range p.parts {
		for _, e := range pt.held {
			if strings.HasPrefix(e.Output, "ok  \t") || strings.HasPrefix(e.Output, "FAIL\t") || strings.HasPrefix(e.Output, "?   \t") {
				own = append(own, e.Output)
			}
		}
	}
	switch end.Action {
	case test2json.ActionFail:
		for _, line := range own { // what did not build has no time
			if strings.HasPrefix(line, "FAIL\t") && strings.HasSuffix(line, "]\n") {
				return line
			}
		}
		return fmt.Sprintf("FAIL\t%s\t%.3fs\n", p.name, *end.Elapsed)
	case test2json.ActionPass:
		if coverage != "" {
			coverage = "\t" + coverage
		}
		return fmt.Sprintf("ok  \t%s\t%.3fs%s\n", p.name, *end.Elapsed, coverage)
	}
	if len(own) > 0 {
		return own[0]
	}
	return ""
}

// coverage is the line about the coverage of a package of several parts: what they agree on, or
// what the merged profile says of its own code. "" where neither can be told.
func (m *merger) coverage(p *pkg) string {
	line := ""
	differ := false
	for _, pt := range p.parts {
		for _, e := range pt.held {
			if text, ok := strings.CutPrefix(e.Output, "coverage: "); ok {
				differ = differ || line != "" && line != text
				line = text
			}
		}
	}
	switch {
	case line == "":
		return ""
	case !differ && m.profile == nil:
		return "coverage: " + strings.TrimSuffix(line, "\n")
	case m.profile == nil || strings.Contains(line, "% of statements in "):
		return ""
	}
	own := &cover.Profile{Mode: m.profile.Mode}
	for _, b := range m.profile.Blocks {
		if path.Dir(b.File) == p.name {
			own.Blocks = append(own.Blocks, b)
		}
	}
	return own.Summary()
}

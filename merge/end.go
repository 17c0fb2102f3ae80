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
		if end.FailedBuild != "" || slices.ContainsFunc(p.endings, setupFailed) {
			m.out.Summary.BuildFailed++
		} else {
			m.out.Summary.Failed++
		}
	}
	lines := p.endings[0].held
	if len(p.endings) > 1 {
		lines = p.closing(end, m.coverage(p))
	}
	for _, e := range lines {
		m.emit(e)
	}
	m.emit(end)
}

func setupFailed(en ending) bool {
	return slices.ContainsFunc(en.held, func(e test2json.Event) bool {
		return strings.HasSuffix(e.Output, " [setup failed]\n") || strings.HasSuffix(e.Output, " [build failed]\n")
	})
}

// terminal is the last event: the worst of the parts, with the time of all of them.
func (p *pkg) terminal() test2json.Event {
	rank := []string{test2json.ActionSkip, test2json.ActionPass, test2json.ActionFail}
	end, sum := p.endings[0].end, 0.0
	for _, en := range p.endings {
		if en.end.Elapsed != nil {
			sum += *en.end.Elapsed
		}
		if slices.Index(rank, en.end.Action) > slices.Index(rank, end.Action) {
			end.Action = en.end.Action
		}
		if en.end.FailedBuild != "" {
			end.FailedBuild = en.end.FailedBuild
		}
		if en.end.Time.After(end.Time) {
			end.Time = en.end.Time
		}
	}
	end.Elapsed = &sum
	return end
}

// closing are the lines that end a package of several parts, as one process would have ended it.
func (p *pkg) closing(end test2json.Event, coverage string) []test2json.Event {
	var lines []string
	said := func(line string) bool {
		return slices.ContainsFunc(p.endings, func(en ending) bool {
			return slices.ContainsFunc(en.held, func(e test2json.Event) bool { return e.Output == line })
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
	for _, en := range p.endings {
		for _, e := range en.held {
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
	for _, en := range p.endings {
		for _, e := range en.held {
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

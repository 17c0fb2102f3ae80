package html

import (
	"strings"

	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/reporters/timeline"
	"github.com/xdist-go/xdist/scheduler/event"
)

// run is what a page needs of a run.
type run struct {
	failures failure.Shared
	started  event.RunStarted
	timeline timeline.Timeline
	findings []finding
	outputs  int // bytes
	alone    int // packages that failed though none of their tests did
	ended    *event.RunEnded
}

func newRun(watch *failure.Watch) *run {
	return &run{failures: failure.Share(watch), timeline: timeline.Timeline{Limit: barsKept}}
}

// finding is what failed, for the page.
type finding struct {
	ID, Name, Place, Message, Gateway, Platform, Output string
	Source                                              []sourceLine
}

type sourceLine struct {
	Number int
	Text   string
	Hit    bool
}

// see keeps what the page needs, and returns what has failed just now.
func (r *run) see(e event.Event) (failed []finding) {
	ended := r.failures.See(e)
	r.timeline.Add(e)
	switch e := e.(type) {
	case event.RunStarted:
		r.started = e
	case event.Test:
		if ended != nil && !ended.Again {
			failed = r.failed(ended)
		}
	case event.RunEnded:
		r.ended = &e
	}
	return failed
}

// failed keeps what did not pass, with its output while there is room.
func (r *run) failed(e *failure.Ended) []finding {
	clip := failure.NewClip(outputKept)
	clip.Add(failure.Plain(e.Compiler + e.Text()))
	text := strings.ToValidUTF8(clip.String(), "")
	if r.outputs += len(text); r.outputs > outputsKept {
		text = "[left out: there is too much output in this run]\n"
	}
	r.alone += failure.Alone(e.Findings)
	sources, had := r.failures.Sources(), len(r.findings)
	for _, f := range e.Findings {
		made := finding{
			ID: e.ID(), Name: sources.Name(f.Package), Place: sources.Place(f.Package, f.Place), Message: f.Place.Message,
			Gateway: f.Gateway, Platform: f.Platform, Output: text, Source: r.around(f),
		}
		if f.Test != "" {
			made.Name += "." + f.Test
		}
		if f.Unbuilt != "" {
			made.Name += " [" + f.Unbuilt + "]"
		}
		r.findings = append(r.findings, made)
	}
	return r.findings[had:]
}

// around is the source around the line that failed.
func (r *run) around(f failure.Finding) []sourceLine {
	if f.Path == "" || f.Place.Line == 0 {
		return nil
	}
	lines := r.failures.Sources().Lines(f.Package)
	var found []sourceLine
	for n := f.Place.Line - sourceLines; n <= f.Place.Line+sourceLines; n++ {
		text, ok := lines(f.Place.File, n)
		if r.outputs += min(len(text), lineShown); !ok || r.outputs > outputsKept {
			continue
		}
		if len(text) > lineShown {
			text = strings.ToValidUTF8(text[:lineShown], "") + "…"
		}
		found = append(found, sourceLine{n, strings.ReplaceAll(text, "\t", "    "), n == f.Place.Line})
	}
	return found
}

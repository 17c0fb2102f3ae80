package html

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/history"
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
	past     Past
	ended    *event.RunEnded
}

func newRun(watch *failure.Watch, past Past) *run {
	return &run{failures: failure.Share(watch), past: past, timeline: timeline.Timeline{Limit: barsKept}}
}

// finding is what failed, for the page.
type finding struct {
	ID, Name, Place, Message, Gateway, Platform, Output, Before string
	Source                                                      []sourceLine
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
			Gateway: f.Gateway, Platform: f.Platform, Output: text, Source: r.around(f), Before: told(r.sights(f.Platform, f.Package, f.Test)),
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

// sights are what earlier runs saw of a test, newest first. pkg is as events have it.
func (r *run) sights(platform, pkg, test string) []history.Sight {
	if r.past == nil {
		return nil
	}
	path, _, _ := history.SplitShown(pkg)
	name, _, _ := strings.Cut(test, "/")
	seen := r.past(platform, path, name)
	// The run itself may be in its own history by now.
	return slices.DeleteFunc(seen, func(s history.Sight) bool { return s.Time.Unix() >= r.started.Time.Unix() })
}

// told is what earlier runs saw, in words.
func told(seen []history.Sight) string {
	if len(seen) == 0 {
		return ""
	}
	failed, latest := 0, time.Time{} // the last time that it did not fail
	for _, s := range seen {
		if s.Verdict != history.Pass && s.Verdict != history.Skip {
			failed++
		} else if latest.IsZero() {
			latest = s.Time
		}
	}
	text := fmt.Sprintf("failed in %d of the %d runs before", failed, len(seen))
	if failed > 0 && !latest.IsZero() {
		text += ", not on " + date(latest)
	}
	return text
}

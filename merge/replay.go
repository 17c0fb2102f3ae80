package merge

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Replay hands the merged stream to a reporter, as a run would, and closes it. The error is the
// first of the reporter's.
func (m *Merged) Replay(r event.Reporter) error {
	var first error
	handle := func(e event.Event) {
		if err := r.Handle(e); first == nil {
			first = err
		}
	}
	var started event.RunStarted
	if len(m.Events) > 0 {
		started.Time = m.Events[0].Time
	}
	handle(started)
	for _, w := range m.Warnings {
		handle(event.Warning{Text: w})
	}
	ended := event.RunEnded{Summary: m.Summary}
	for _, e := range m.Events {
		handle(event.Test{Event: e, Total: m.Summary.Collected})
		if e.Terminal() && e.Test == "" && e.Elapsed != nil {
			ended.Elapsed += seconds(*e.Elapsed)
		}
	}
	handle(ended)
	return cmp.Or(first, r.Close())
}

// Profiles merges files of KindProfile; others are passed over. It is nil when there are none.
// Files of the source come in the order of their names.
func Profiles(files []*File) (*cover.Profile, error) {
	var parts []*cover.Profile
	for _, f := range files {
		if f.Kind == KindProfile {
			parts = append(parts, f.Profile)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	merged, err := cover.Merge(parts[0].Mode, parts...)
	if err != nil {
		return nil, fmt.Errorf("merge coverage: %w", err)
	}
	slices.SortStableFunc(merged.Blocks, func(a, b cover.Block) int { return cmp.Compare(a.File, b.File) })
	return merged, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

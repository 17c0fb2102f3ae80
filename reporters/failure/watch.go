package failure

import "github.com/xdist-go/xdist/scheduler/event"

// Watch is a collector that the reporters of a run share: it keeps the output of tests once for all
// of them. As a reporter it comes before the others, who ask it what has Ended with the event that
// they handle.
type Watch struct {
	sources   Sources
	collector collector
	ended     *Ended
}

// watchKept is how many bytes of output are kept of a test while it runs.
const watchKept = 4 << 20

// NewWatch returns a Watch that has seen nothing.
func NewWatch() *Watch {
	w := &Watch{}
	w.collector.Sources, w.collector.Limit = &w.sources, watchKept
	return w
}

// Handle takes the next event. It returns no error.
func (w *Watch) Handle(e event.Event) error {
	w.ended = nil
	switch e := e.(type) {
	case event.RunStarted, event.Collected:
		w.sources.Learn(e)
	case event.Test:
		w.ended = w.collector.Add(&e)
	}
	return nil
}

// Close does nothing.
func (w *Watch) Close() error { return nil }

// Ended is what has ended with the last event and failed, or nil. It is read only.
func (w *Watch) Ended() *Ended { return w.ended }

// Sources are those of the run.
func (w *Watch) Sources() *Sources { return &w.sources }

// Shared is a Watch that somebody else feeds, or where there is none one of its own. The zero value
// has none.
type Shared struct {
	*Watch
	own bool
}

// Share returns what a reporter asks. A nil watch is nobody's: the reporter has its own.
func Share(watch *Watch) Shared {
	if watch == nil {
		return Shared{NewWatch(), true}
	}
	return Shared{watch, false}
}

// See takes the event that the reporter handles, and returns what has ended with it and failed, or
// nil.
func (s Shared) See(e event.Event) *Ended {
	if s.own {
		s.Handle(e)
	}
	return s.Ended()
}

var _ event.Reporter = (*Watch)(nil)

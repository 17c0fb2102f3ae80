package reporters

import (
	"errors"

	"github.com/xdist-go/xdist/scheduler/event"
)

type multi []event.Reporter

// Multi returns a Reporter that hands each event to all of the given ones in their order. One that
// fails does not keep the event from the next; the errors of one event are joined. Close closes all
// of them, in the same order.
func Multi(reporters ...event.Reporter) event.Reporter {
	return multi(append([]event.Reporter(nil), reporters...))
}

func (m multi) Handle(e event.Event) error {
	var errs []error
	for _, r := range m {
		if err := r.Handle(e); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (m multi) Close() error {
	var errs []error
	for _, r := range m {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

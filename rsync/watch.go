//go:build !xdist_agent

package rsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// WatchOptions say what Watch sends, and when.
type WatchOptions struct {
	Source Source
	// Dir is the directory on each host, as for [Sync.AddTarget].
	Dir string
	// Quiet is for how long nothing has to change before what has changed is sent. 0 is 100 ms.
	// Where changes do not end they are sent after ten times that.
	Quiet time.Duration
	// Poll is how often the source is looked through besides, for changes that the system did not
	// tell of: those on network file systems, and in directories beyond what it lets a user watch.
	// 0 is 30 s, or 2 s when it is known not to tell of all; negative is never.
	Poll time.Duration
}

const (
	quietDefault = 100 * time.Millisecond
	// quietTimes is how many Quiets changes that do not end may hold up a round.
	quietTimes   = 10
	pollSeeing   = 30 * time.Second
	pollBlind    = 2 * time.Second
	retryAtFirst = time.Second
	retryAtMost  = 30 * time.Second
)

// Watch sends the source to a directory on the host of each gateway, and sends again what changes,
// until ctx ends or all gateways have. What is gone from the source is removed there. It yields
// whenever there is something to tell: of hosts that have got what there was to send, or have
// failed, as the report says, or that the source cannot be read.
//
// Hosts are sent to at the same time and independently of each other: a slow one gets what has
// changed meanwhile when it is done. One that fails is tried again, after a second at first and
// after 30 at most. A gateway that has ended is reported once and left out from then on. Changes
// that others make at the targets are undone when something is sent there.
//
// Watch has a goroutine for the system's notices, one for each gateway and one for each host that
// is sent to, which end before it does.
func Watch(ctx context.Context, opts WatchOptions, gws ...*gateway.Gateway) iter.Seq2[Report, error] {
	return func(yield func(Report, error) bool) {
		w := newWatch(opts, gws)
		ctx, cancel := context.WithCancel(ctx)
		var lookouts sync.WaitGroup
		defer lookouts.Wait()
		defer cancel()
		for _, gw := range gws {
			lookouts.Go(func() {
				select {
				case <-gw.Done():
					wake(w.lostc)
				case <-ctx.Done():
				}
			})
		}
		n, err := systemNotices()
		if err == nil {
			defer n.close()
			w.notices = n
		}
		w.blind = err // polling makes up for it
		w.run(ctx, yield)
	}
}

// watch is one run of Watch. Only its goroutine uses it, but for outcomec and lostc.
type watch struct {
	opts     WatchOptions
	hosts    []*watched     // whose gateways have not ended
	lostc    chan struct{}  // capacity 1: one of them has
	outcomec chan outcome   // has room for one of each host
	sending  sync.WaitGroup // for the goroutines that send
	notices  *notices       // nil when there are none
	blind    error          // why notices do not tell of all; nil while they do
	told     bool           // of blind

	due     bool          // something may have changed
	next    time.Time     // when to look in any case; zero is never
	retry   time.Duration // of a source that cannot be read
	content *content      // what was found; nil when all hosts have it

	news Report // to be yielded, with errs
	errs []error
}

// watched is a host that is kept up to date.
type watched struct {
	gw    *gateway.Gateway
	busy  bool          // something is being sent to it
	known bool          // it was told of once
	has   sum           // digest of the manifest that it has
	retry time.Duration // since it has failed; else 0
	next  time.Time     // when it may be tried again
}

// outcome is what has come of sending.
type outcome struct {
	host   *watched
	report Report
	err    error
}

func newWatch(opts WatchOptions, gws []*gateway.Gateway) *watch {
	opts.Quiet = cmp.Or(max(0, opts.Quiet), quietDefault)
	opts.Source.kept = new(memory)
	w := &watch{opts: opts, lostc: make(chan struct{}, 1), outcomec: make(chan outcome, len(gws)), due: true}
	for _, gw := range gws {
		w.hosts = append(w.hosts, &watched{gw: gw})
	}
	return w
}

func (w *watch) run(ctx context.Context, yield func(Report, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer w.sending.Wait()
	defer cancel()
	if len(w.hosts) == 0 {
		w.errs = append(w.errs, ErrNoTarget)
	}
	for {
		w.leave()
		if w.due && len(w.hosts) > 0 {
			w.due = false
			w.look(ctx)
		}
		w.send(ctx)
		if ctx.Err() != nil {
			return
		}
		if len(w.news.Targets)+len(w.errs) > 0 {
			news, errs := w.news, w.errs
			w.news, w.errs = Report{}, nil
			if !yield(news, errors.Join(errs...)) {
				return
			}
		}
		if len(w.hosts) == 0 || !w.wait(ctx) {
			return
		}
	}
}

// leave takes gateways that have ended out, and tells of them. Those that are sent to come later.
func (w *watch) leave() {
	w.hosts = slices.DeleteFunc(w.hosts, func(h *watched) bool {
		select {
		case <-h.gw.Done():
		default:
			return false
		}
		if h.busy {
			return false
		}
		w.news.Targets = append(w.news.Targets, TargetReport{Gateway: h.gw.ID(), Dir: w.opts.Dir, Err: h.gw.Err()})
		w.errs = append(w.errs, fmt.Errorf("watch %s: %w", w.opts.Source.Root, h.gw.Err()))
		return true
	})
}

// look scans the source.
func (w *watch) look(ctx context.Context) {
	if w.notices != nil { // before the scan, so that nothing comes between
		w.blind = w.notices.follow(ctx, w.opts.Source)
	}
	if w.blind != nil && !w.told {
		w.told = true
		w.news.Warnings = append(w.news.Warnings, fmt.Errorf("watch %s: not all changes are told, and it is looked through every %v: %w", w.opts.Source.Root, w.poll(), w.blind))
	}
	w.next = time.Time{}
	if d := w.poll(); d > 0 {
		w.next = time.Now().Add(d)
	}
	img, err := w.opts.Source.scan(ctx)
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("watch %s: %w", w.opts.Source.Root, err))
		w.retry = later(w.retry)
		w.next = sooner(w.next, time.Now().Add(w.retry))
		if w.notices != nil {
			w.notices.forget()
		}
		return
	}
	w.retry = 0
	if w.content == nil || w.content.img.digest != img.digest {
		w.content = newContent(img, len(w.hosts) > 1)
	}
}

// send begins to send to hosts that have something else, and are not being sent to.
func (w *watch) send(ctx context.Context) {
	if w.content == nil {
		return
	}
	current := true
	for _, h := range w.hosts {
		if !h.busy && h.has == w.content.img.digest {
			continue
		}
		current = false
		if h.busy || time.Now().Before(h.next) {
			continue
		}
		h.busy = true
		source, kept, c := w.opts.Source, *w.opts.Source.kept, w.content
		source.kept = &kept // each may scan once more
		w.sending.Go(func() {
			s := New(source)
			s.AddTarget(h.gw, w.opts.Dir, TargetOptions{Delete: true})
			report, err := s.send(ctx, c)
			w.outcomec <- outcome{h, report, err}
		})
	}
	if current {
		w.content = nil // and its memory
	}
}

// book notes what has come of sending.
func (w *watch) book(o outcome) {
	h := o.host
	h.busy = false
	if o.err == nil {
		h.has, h.retry, h.next = o.report.digest, 0, time.Time{}
	} else {
		h.has, h.retry = sum{}, later(h.retry)
		h.next = time.Now().Add(h.retry)
	}
	if _, lost := errors.AsType[*gateway.LostError](o.err); lost || errors.Is(o.err, gateway.ErrExited) {
		w.hosts = slices.DeleteFunc(w.hosts, func(other *watched) bool { return other == h })
	}
	if o.err == nil && h.known && o.report.Targets[0].Unchanged() {
		return
	}
	h.known = true
	w.news.Entries, w.news.Bytes, w.news.Took = o.report.Entries, o.report.Bytes, max(w.news.Took, o.report.Took)
	w.news.Targets = append(w.news.Targets, o.report.Targets...)
	w.news.Warnings = append(w.news.Warnings, o.report.Warnings...)
	if o.err != nil {
		w.errs = append(w.errs, o.err)
	}
}

// later is for how long to wait after one failure more.
func later(d time.Duration) time.Duration { return min(max(2*d, retryAtFirst), retryAtMost) }

// sooner returns the earlier of two times, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// poll is how often to look through the source; not positive is never.
func (w *watch) poll() time.Duration {
	if w.blind != nil {
		return cmp.Or(w.opts.Poll, pollBlind)
	}
	return cmp.Or(w.opts.Poll, pollSeeing)
}

// wait waits until there is something to do. It reports false when ctx has ended.
func (w *watch) wait(ctx context.Context) bool {
	var changedc chan struct{}
	if w.notices != nil {
		changedc = w.notices.changedc
	}
	next := w.next
	for _, h := range w.hosts {
		if !h.busy {
			next = sooner(next, h.next)
		}
	}
	var timec <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		timec = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-w.lostc:
	case o := <-w.outcomec:
		w.book(o)
	case <-timec:
		w.due = true
	case <-changedc:
		w.due = true
		return w.rest(ctx, changedc)
	}
	return true
}

// rest waits until nothing changes for a while. It reports false when ctx has ended.
func (w *watch) rest(ctx context.Context, changedc <-chan struct{}) bool {
	late := time.NewTimer(quietTimes * w.opts.Quiet)
	defer late.Stop()
	quiet := time.NewTimer(w.opts.Quiet)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-changedc:
			quiet.Reset(w.opts.Quiet)
		case o := <-w.outcomec:
			w.book(o)
		case <-quiet.C:
			return true
		case <-late.C:
			return true
		}
	}
}

// wake leaves a token in a Go channel of capacity 1.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

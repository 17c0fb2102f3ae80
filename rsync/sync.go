package rsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// Sync makes directories on other hosts hold what a source holds. The zero value is of no use; see
// [New]. Methods may be called concurrently, but a target belongs to one Send.
type Sync struct {
	source Source

	mu      sync.Mutex // guards targets
	targets []*Target
}

// New returns a sync of a source. Nothing is looked at yet.
func New(s Source) *Sync { return &Sync{source: s} }

// TargetOptions say how a target is to be treated. The zero value keeps what the source does not
// have.
type TargetOptions struct {
	// Delete removes what an earlier sync has brought and the source has no more.
	Delete bool
	// Clean removes what no sync has brought: what programs have left behind.
	Clean bool
	// Hold keeps the target locked after Send, until Release: no other sync changes it meanwhile.
	Hold bool
	// Wait is how long to wait while another sync has the target. 0 is as long as Send's ctx
	// allows; negative is not at all, but for a quarter of a second in which one that has ended
	// leaves.
	Wait time.Duration
	// Patience is for how long the receiver may say and take nothing, the time that it waits for
	// another sync aside; then the target fails with ErrSilent. 0 means five minutes, negative is
	// for ever.
	Patience time.Duration
	// Sent, unless it is nil, is called with the size of each part of the tree as it leaves,
	// packed, from goroutines of Send. It should not take long.
	Sent func(bytes int)
	// Done is called once, when the target is as it is to be (nil) or will not be, while Send may
	// go on with others. It must not block.
	Done func(error)
}

// Target is a directory on the host of a gateway.
type Target struct {
	gw   *gateway.Gateway
	dir  string
	opts TargetOptions

	ch line // to the receiver; set by Send
}

// ErrNoTarget is the error of a Send without targets.
var ErrNoTarget = errors.New("no target")

// ErrBusy is the error of a target that another sync has, when Wait is over.
var ErrBusy = errors.New("another sync is using it")

// errChanging is the error of a source that does not come to rest.
var errChanging = errors.New("files are written to while they are sent")

// AddTarget adds a directory on the gateway's host to the next Send. It is made when it is missing.
// A relative one is below the agent's working directory. Beside it, the receiver keeps a directory
// named .NAME.xdist-sync.
func (s *Sync) AddTarget(gw *gateway.Gateway, dir string, opts TargetOptions) *Target {
	t := &Target{gw: gw, dir: dir, opts: opts}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.targets = append(s.targets, t)
	return t
}

// Release lets others have a target that was held. A second call does nothing. It waits for the
// receiver.
func (t *Target) Release(ctx context.Context) error {
	if t.ch.Channel == nil {
		return nil
	}
	if err := t.ch.CloseSend(); err != nil {
		return err
	}
	if err := t.ch.WaitClose(ctx); err != nil {
		return fmt.Errorf("release %s on gateway %s: %w", t.dir, t.gw, err)
	}
	return nil
}

// Report tells what a Send has done.
type Report struct {
	Entries  int            // files, directories and links of the source
	Bytes    int64          // of its files
	Targets  []TargetReport // in the order of AddTarget
	Warnings []error        // what went wrong without harm
	Took     time.Duration

	digest sum // of the manifest that was sent last
}

// TargetReport tells what was done at one target.
type TargetReport struct {
	Gateway string
	Dir     string // absolute
	Files   int    // files that got new content, Patched included
	Patched int    // files of which only what had changed was sent
	Resumed int    // files of which an earlier, interrupted sync had brought a part
	Touched int    // entries of which only mode, time, or what a link leads to was set, and directories made
	Removed int    // entries that Delete and Clean have removed
	Strange int    // entries that are there and not in the source
	Sent    int64  // bytes sent, compressed
	Err     error
}

// Unchanged reports whether the target was as it should be.
func (r *TargetReport) Unchanged() bool { return r.Files+r.Touched+r.Removed == 0 && r.Err == nil }

// roundsAtMost is how often files that change while they are sent are sent again.
const roundsAtMost = 5

// Send makes all targets that were added since the last Send equal to the source: all at the same
// time, from one reading of the source. It fails with ErrNoTarget when there are none, and with the
// errors of all targets that failed, joined; the others are complete then, and the report tells
// which. Files that vanish meanwhile are left out, files that change are sent again. What ends a
// Send early leaves whole files, old or new, and what is needed to go on from there.
func (s *Sync) Send(ctx context.Context) (Report, error) { return s.send(ctx, nil) }

// send is Send, with the content that a scan of the source has found, which others may be sending,
// or nil.
func (s *Sync) send(ctx context.Context, scanned *content) (Report, error) {
	start := time.Now()
	s.mu.Lock()
	targets := s.targets
	s.targets = nil
	s.mu.Unlock()
	if len(targets) == 0 {
		return Report{}, fmt.Errorf("send %s: %w", s.source.Root, ErrNoTarget)
	}
	d := &delivery{source: s.source, scanned: scanned, codec: newCodec()}
	defer d.codec.close()
	for _, t := range targets {
		codec := *d.codec
		codec.plain = local(t.gw)
		d.senders = append(d.senders, &sender{Target: t, codec: &codec, report: TargetReport{Gateway: t.gw.ID(), Dir: t.dir}})
	}
	err := d.run(ctx)
	var errs []error
	for _, sd := range d.senders {
		if sd.report.Err == nil {
			sd.report.Err = err // what keeps the source from being read leaves no target complete
		}
		d.report.Targets = append(d.report.Targets, sd.report)
		if sd.report.Err != nil {
			errs = append(errs, fmt.Errorf("send %s to %s on gateway %s: %w", s.source.Root, sd.dir, sd.gw, sd.report.Err))
		}
	}
	if err != nil {
		errs = []error{fmt.Errorf("send %s: %w", s.source.Root, err)}
	}
	d.report.Took = time.Since(start)
	return d.report, errors.Join(errs...)
}

// local reports whether the gateway's bytes pass through this machine only, faster than they could
// be compressed.
func local(gw *gateway.Gateway) bool {
	s := gw.Spec()
	return s.SSH == "" && s.Socket == "" && s.Cmd == "" && s.Net == "" && s.InstallVia == "" && s.Via == ""
}

// delivery is one Send.
type delivery struct {
	source  Source
	scanned *content // for the first round; nil when the source is to be scanned
	codec   *codec
	senders []*sender
	report  Report
}

// run makes rounds until the source has come to rest. The receivers look at what they have while
// the source is scanned.
func (d *delivery) run(ctx context.Context) (err error) {
	defer d.finish()
	defer func() {
		for _, sd := range d.senders {
			sd.tell(cmp.Or(sd.report.Err, err))
		}
	}()
	for _, sd := range d.senders {
		sd.open(ctx)
	}
	return d.rounds(ctx)
}

func (d *delivery) rounds(ctx context.Context) error {
	for range roundsAtMost {
		c := d.scanned
		if d.scanned = nil; c == nil {
			img, err := d.source.scan(ctx)
			if err != nil {
				return err
			}
			c = newContent(img, len(d.senders) > 1)
		}
		img := c.img
		d.report.digest = img.digest
		if img.warn != nil {
			d.report.Warnings = append(d.report.Warnings, img.warn)
		}
		d.report.Entries, d.report.Bytes = len(img.entries), img.bytes
		if !d.round(ctx, c) {
			return nil
		}
	}
	for _, sd := range d.senders {
		if sd.again && sd.report.Err == nil {
			sd.report.Err = errChanging
		}
	}
	return nil
}

// round sends the content of an image to all targets that do not have it, and reports whether
// another round is needed.
func (d *delivery) round(ctx context.Context, c *content) (again bool) {
	var wait sync.WaitGroup
	for _, sd := range d.senders {
		if sd.report.Err == nil {
			wait.Go(func() {
				if sd.round(ctx, c); sd.report.Err != nil || !sd.again {
					sd.tell(sd.report.Err)
				}
			})
		}
	}
	wait.Wait()
	for _, sd := range d.senders {
		again = again || sd.again && sd.report.Err == nil
	}
	return again
}

// finish ends the channels of targets that are not held. The receivers have nothing more to do,
// except where something failed.
func (d *delivery) finish() {
	for _, sd := range d.senders {
		if sd.ch.Channel != nil && (!sd.opts.Hold || sd.report.Err != nil) {
			sd.ch.Close() // never fails for a channel of our own
			sd.ch.Channel = nil
		}
	}
}

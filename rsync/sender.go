package rsync

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// sender is the controller's side of one target during a Send. Only one goroutine uses it at a
// time.
type sender struct {
	*Target
	codec  *codec
	report TargetReport
	again  bool // not all came out right: another round is needed
	whole  bool // ask for no deltas any more

	answered bool // the receiver has the target
}

func (sd *sender) open(ctx context.Context) {
	wait := sd.opts.Wait.Milliseconds()
	if sd.opts.Wait < 0 {
		wait = -1
	}
	sd.ch, sd.report.Err = openLine(ctx, sd.gw, Handler, openArgs{
		Version: version, Dir: sd.dir, Delete: sd.opts.Delete, Clean: sd.opts.Clean, Wait: wait,
	}, sd.opts.Patience)
}

// tell calls the target's Done, the first time.
func (sd *sender) tell(err error) {
	if sd.opts.Done != nil {
		sd.opts.Done(err)
		sd.opts.Done = nil
	}
}

// round brings the target to what the image is.
func (sd *sender) round(ctx context.Context, c *content) {
	var lost lost
	t, err := sd.exchange(ctx, c, &lost)
	if err != nil {
		sd.report.Err = sd.cause(ctx, err)
		return
	}
	r := &sd.report
	r.Dir = t.Dir
	r.Files += t.Files
	r.Patched += t.Patched
	r.Resumed += t.Resumed
	r.Touched += t.Touched
	r.Removed += t.Removed
	r.Strange = t.Strange
	sd.again = t.Failed > 0 || lost.changed > 0
	sd.whole = t.Failed > 0
}

// cause returns what the receiver has said before it closed the channel, which says more than that
// it is closed.
func (sd *sender) cause(ctx context.Context, err error) error {
	if !errors.Is(err, gateway.ErrClosed) && !errors.Is(err, io.EOF) {
		return err
	}
	for {
		_, e := sd.ch.ReceiveItem(ctx)
		if errors.Is(e, io.EOF) {
			return errors.New("receiver has ended the transfer")
		}
		if e != nil {
			return e
		}
	}
}

func (sd *sender) exchange(ctx context.Context, c *content, lost *lost) (*tally, error) {
	m := c.img.manifest
	err := sd.ch.Send(ctx, begin{Digest: m.digest[:], Entries: len(m.entries), Whole: sd.whole})
	if err != nil && !errors.Is(err, gateway.ErrClosed) { // a receiver that has ended has said why
		return nil, err
	}
	var a answer
	if err := sd.first().Receive(ctx, &a); err != nil {
		return nil, err
	}
	sd.answered = true
	switch {
	case a.Busy:
		return nil, ErrBusy
	case a.Report != nil:
		return a.Report, nil
	case !a.Known:
		if err := sd.sendManifest(ctx, m, a.Have); err != nil {
			return nil, err
		}
	}
	s := &server{sender: sd, content: c, lost: lost}
	if err := s.serve(ctx); err != nil {
		return nil, err
	}
	t := new(tally)
	return t, sd.ch.Receive(ctx, t)
}

// first is the line to the receiver for the answer of a round. In the first one it may wait for
// another sync.
func (sd *sender) first() line {
	l := sd.ch
	switch {
	case sd.answered || sd.opts.Wait < 0:
	case sd.opts.Wait == 0:
		l.patience = 0
	case l.patience > 0:
		l.patience += sd.opts.Wait
	}
	return l
}

func (sd *sender) send(ctx context.Context, packet []byte) error {
	sd.report.Sent += int64(len(packet))
	start := time.Now()
	err := sd.ch.Send(ctx, packet)
	sd.codec.pace.sent(len(packet), time.Since(start))
	if sd.opts.Sent != nil {
		sd.opts.Sent(len(packet))
	}
	return err
}

// sendManifest sends the chunks that the receiver does not have, and the digests of the others.
// Each part is its size and content; the size 0 stands before a digest.
func (sd *sender) sendManifest(ctx context.Context, m *manifest, have []byte) error {
	known := make(map[sum]bool)
	for s := range slices.Chunk(have, len(sum{})) {
		if len(s) == len(sum{}) {
			known[sum(s)] = true
		}
	}
	var buf, chunk []byte
	for _, c := range m.chunks {
		if known[c.sum] {
			buf = append(append(buf, 0), c.sum[:]...)
		} else {
			chunk = m.encodeChunk(chunk[:0], c)
			buf = append(binary.AppendUvarint(buf, uint64(len(chunk))), chunk...)
		}
		if len(buf) >= pieceSize {
			if err := sd.send(ctx, sd.codec.pack(chunksPacket, buf)); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	if len(buf) > 0 {
		if err := sd.send(ctx, sd.codec.pack(chunksPacket, buf)); err != nil {
			return err
		}
	}
	return sd.send(ctx, sd.codec.pack(endPacket, nil))
}

// server gives a receiver what it asks for. It owns the goroutines that make packets ahead; they
// have ended when serve returns.
type server struct {
	*sender
	content *content
	lost    *lost
	asked   int // files

	batch []int          // small files that go into the next packet
	size  int64          // of them
	ahead []chan *packet // packets that are being made, in the order in which they are sent; each gets one packet
}

// aheadAtMost is how many packets are made at the same time: reading and compressing is more work
// than sending.
const aheadAtMost = 4

// serve answers requests until their end. It goes on reading them while it sends, because a
// receiver takes files while it asks.
func (s *server) serve(ctx context.Context) error {
	defer func() {
		for _, c := range s.ahead { // left when something failed
			<-c
		}
	}()
	for {
		it, err := s.ch.ReceiveItem(ctx)
		if err != nil {
			return err
		}
		k, body, err := s.codec.unpackItem(it)
		if err != nil {
			return fmt.Errorf("read requests: %w", err)
		}
		switch k {
		case requestPacket:
			err = s.requests(ctx, body)
		case endPacket:
			s.flush()
			if err := s.drain(ctx, 0); err != nil {
				return err
			}
			return s.send(ctx, s.codec.pack(endPacket, nil))
		default:
			err = fmt.Errorf("read requests: %w", errGarbled)
		}
		if err != nil {
			return err
		}
	}
}

// Kinds of requests.
const (
	wholeRequest byte = 0 // index, offset
	deltaRequest byte = 1 // index, signature
)

func (s *server) requests(ctx context.Context, body []byte) error {
	if len(body) == 0 {
		return fmt.Errorf("read requests: %w", errGarbled)
	}
	d := &decoder{b: body}
	for len(d.b) > 0 {
		r := d.request(s.content.img.entries)
		if d.err != nil {
			return fmt.Errorf("read requests: %w", d.err)
		}
		if s.asked++; s.asked > len(s.content.img.entries) {
			return fmt.Errorf("read requests: %w: there are more than files", errGarbled)
		}
		if err := s.request(ctx, r.index, r.offset, r.signature); err != nil {
			return err
		}
	}
	return nil
}

// request is what a receiver asks for: a file from an offset on, or what has changed in it.
type request struct {
	index     int
	offset    int64
	signature *signature
}

// request takes a request for one of the entries.
func (d *decoder) request(entries []entry) (r request) {
	k := d.byte()
	r.index = d.count(len(entries))
	switch k {
	case wholeRequest:
		r.offset = d.size()
	case deltaRequest:
		r.signature = d.signature()
	default:
		d.fail(errGarbled)
	}
	if d.err == nil && (r.index == len(entries) || entries[r.index].kind != fileKind || r.offset > entries[r.index].size) {
		d.fail(errGarbled)
	}
	return r
}

func (s *server) request(ctx context.Context, i int, offset int64, sig *signature) error {
	size := s.content.img.entries[i].size
	if sig == nil && offset == 0 && size <= smallFile {
		s.batch = append(s.batch, i)
		if s.size += size; s.size >= pieceSize || len(s.batch) == batchAtMost {
			s.flush()
		}
		return s.drain(ctx, aheadAtMost)
	}
	send := func(packet []byte) error { return s.send(ctx, packet) }
	var ft fate
	var err error
	if sig != nil {
		ft, err = s.content.delta(ctx, s.codec, i, sig, send)
	} else {
		ft, err = s.content.large(ctx, s.codec, i, offset, send)
	}
	s.lost.count(ft)
	return err
}

// batchAtMost bounds the files in one packet.
const batchAtMost = 1024

// flush begins to make a packet of the small files that wait.
func (s *server) flush() {
	if len(s.batch) == 0 {
		return
	}
	c := make(chan *packet, 1)
	s.ahead = append(s.ahead, c)
	batch := s.batch
	s.batch, s.size = nil, 0
	go func() { c <- s.content.small(s.codec, batch) }() // serve waits for it
}

// drain sends packets that were made ahead, until no more than so many are left.
func (s *server) drain(ctx context.Context, left int) error {
	for len(s.ahead) > left {
		p := <-s.ahead[0]
		s.ahead = s.ahead[1:]
		if p.err != nil {
			return p.err
		}
		s.lost.gone += p.lost.gone
		s.lost.changed += p.lost.changed
		if err := s.send(ctx, p.bytes); err != nil {
			return err
		}
	}
	return nil
}

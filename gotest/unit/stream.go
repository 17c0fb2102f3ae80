package unit

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
)

const (
	// readSize is the buffer for one read: what a pipe of Linux holds.
	readSize = 64 << 10
	// coalesce is for how long events may wait for others after a batch has been emitted. The first
	// after a pause does not wait.
	coalesce = 10 * time.Millisecond
	// begunCoalesce is that for a batch in which an item begins, which may take this process down:
	// who looks for the one to blame should know by then. It bounds what quick tests cost.
	begunCoalesce = time.Millisecond
	// maxBatch and maxBatchBytes end a batch: events, and bytes of output in them.
	maxBatch      = 1024
	maxBatchBytes = 64 << 10
)

// A stream reads the output of a process, converts it and emits the events.
//
// One goroutine, started by begin and ended by the end of the output or by stop, owns all fields
// without a note until donec is closed; then, as before begin, the caller owns them, and ends the
// stream with finish.
type stream struct {
	covered bool    // the binary prints a coverage line; never changes
	clocks  *clocks // nil when no test has a limit; set before begin
	control *Control

	r     *os.File
	conv  *test2json.Converter
	scan  scanner
	track *tracker
	sift  sift
	emit  Emit

	batch   []test2json.Event
	bytes   int           // of output in batch
	flushed time.Time     // of the last emit
	wait    time.Duration // of batch, from flushed on
	closing bool          // the output has ended

	donec    chan struct{}          // closed by the reading goroutine when it ends; nil before begin
	emitting atomic.Bool            // an Emit is under way
	taken    atomic.Int64           // bytes read
	blame    atomic.Pointer[string] // the test that the output which comes next belongs to, or nil

	blameRunning atomic.Bool // it belongs to the test that would be blamed if the process died now
}

// newStream returns a stream that reads nothing yet.
func newStream(u Unit, covered bool, emit Emit) *stream {
	s := &stream{
		covered: covered,
		scan:    scanner{covered: covered},
		track:   newTracker(u.Package, u.Names),
		sift:    sift{hold: u.split(), covered: covered},
		emit:    emit,
		control: new(Control),
	}
	s.conv = test2json.NewConverter(u.Package, s.event,
		test2json.WithClock(time.Now), test2json.WithoutStart(), test2json.WithoutEnd())
	return s
}

// begin starts to read r, which the stream closes.
func (s *stream) begin(r *os.File) {
	s.r, s.donec = r, make(chan struct{})
	go s.read()
}

// join waits for the end of the reading, if it began.
func (s *stream) join() {
	if s.donec != nil {
		<-s.donec
	}
}

// read is the goroutine of the stream.
func (s *stream) read() {
	defer close(s.donec)
	buf := make([]byte, readSize)
	for {
		s.await()
		n, err := s.r.Read(buf)
		if n > 0 {
			s.taken.Add(int64(n))
			if test := s.blame.Swap(nil); test != nil {
				s.conv.Write(nameLine(*test)) // never fails
			}
			if s.blameRunning.Swap(false) {
				if test := s.track.culprit(&s.scan); test != "" {
					s.conv.Write(nameLine(test)) // never fails
				}
			}
			s.take(buf[:n])
			if time.Since(s.flushed) >= s.wait {
				s.flush()
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.flush()
		default: // io.EOF, or os.ErrClosed after stop
			s.flush()
			return
		}
	}
}

// await makes the next read end in time to emit what is waiting. Where pipes have no deadlines it
// emits at once.
func (s *stream) await() {
	if len(s.batch) == 0 {
		if s.r.SetReadDeadline(time.Time{}) != nil {
			return // no deadlines here, or closed: the read tells
		}
		return
	}
	if s.r.SetReadDeadline(s.flushed.Add(s.wait)) != nil {
		s.flush()
	}
}

func (s *stream) take(p []byte) {
	s.scan.write(p)
	s.conv.Write(p) // never fails
}

// stop ends the reading of an output that somebody holds open. The caller waits for donec.
func (s *stream) stop() { s.r.Close() }

// finish feeds the lines that `go test` writes after the output, ends what is pending, and emits
// the rest. The caller has called join.
func (s *stream) finish(lines []string) {
	if s.r != nil {
		s.r.Close()
	}
	for _, line := range lines {
		s.conv.Write([]byte(line))
	}
	s.closing = true
	s.conv.Close() // never fails
	for _, e := range s.sift.rest() {
		s.add(e)
	}
	s.flush()
}

// event takes an event from the converter.
func (s *stream) event(e test2json.Event) {
	s.uncount(&e)
	s.track.observe(e, s.closing)
	s.clocks.observe(e, s.control.now())
	for _, e := range s.sift.next(e) {
		s.add(e)
	}
}

// uncount takes the time in which the process was held from what a test has taken by the clock of
// the binary, which went on.
func (s *stream) uncount(e *test2json.Event) {
	if e.Elapsed == nil || !e.Terminal() {
		return
	}
	took := time.Duration(*e.Elapsed * float64(time.Second))
	now := time.Now()
	if held := s.control.held(now.Add(-took), now); held > 0 {
		left := max(0, took-held).Round(10 * time.Millisecond).Seconds() // as package testing rounds it
		e.Elapsed = &left
	}
}

func (s *stream) add(e test2json.Event) {
	s.batch = append(s.batch, e)
	s.bytes += len(e.Output)
	if begins(e) {
		s.wait = begunCoalesce
	}
	if len(s.batch) >= maxBatch || s.bytes >= maxBatchBytes {
		s.flush()
	}
}

func (s *stream) flush() {
	if len(s.batch) == 0 {
		return
	}
	s.emitting.Store(true)
	s.emit(s.batch)
	s.emitting.Store(false)
	s.batch, s.bytes, s.flushed, s.wait = nil, 0, time.Now(), coalesce
}

// begins reports whether a top-level item begins with e, or goes on after its pause.
func begins(e test2json.Event) bool {
	return (e.Action == test2json.ActionRun || e.Action == test2json.ActionCont) && !strings.Contains(e.Test, "/")
}

// A sift finds the closing lines of a binary among the output that belongs to no test, and takes
// them out when hold is set.
type sift struct {
	hold    bool
	covered bool

	verdict  string
	coverage string
	shuffle  string
	part     []test2json.Event // beginning of a coverage line that is too long for one event
}

// next returns the events to go on with.
func (f *sift) next(e test2json.Event) []test2json.Event {
	if e.Action == test2json.ActionRun {
		f.verdict = "" // TestMain may call m.Run again
	}
	if e.Test != "" || e.Action != test2json.ActionOutput {
		return append(f.rest(), e)
	}
	if len(f.part) > 0 || f.covered && strings.HasPrefix(e.Output, "coverage: ") {
		f.part = append(f.part, e)
		if !strings.HasSuffix(e.Output, "\n") && len(f.part) < maxLine/1024 {
			return nil
		}
		return f.coverageLine()
	}
	line, ok := strings.CutSuffix(e.Output, "\n")
	switch {
	case !ok:
	case line == "PASS" || line == "FAIL":
		f.verdict = line
		return f.unlessHeld(e)
	case strings.HasPrefix(line, "-test.shuffle "):
		f.shuffle = line
		return f.unlessHeld(e)
	case line == "testing: warning: no tests to run":
		return f.unlessHeld(e)
	}
	return []test2json.Event{e}
}

func (f *sift) coverageLine() []test2json.Event {
	var b strings.Builder
	for _, e := range f.part {
		b.WriteString(e.Output)
	}
	f.coverage = strings.TrimSuffix(b.String(), "\n")
	events := f.unlessHeld(f.part...)
	f.part = nil
	return events
}

func (f *sift) unlessHeld(events ...test2json.Event) []test2json.Event {
	if f.hold {
		return nil
	}
	return events
}

// rest returns what was held back for a line that did not end.
func (f *sift) rest() []test2json.Event {
	events := f.part
	f.part = nil
	return events
}

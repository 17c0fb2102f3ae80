package reporters

import (
	"fmt"
	"io"
	"os"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/scheduler/event"
)

// lineKept is the largest line whose memory the next ones use again, in bytes: test2json cuts lines
// at 4 KiB, so that longer ones are rare.
const lineKept = 64 << 10

// JSONConfig says where JSON writes to. The zero value is standard output.
type JSONConfig struct {
	File string    // created or emptied, its directory too; "": Out is used
	Out  io.Writer // nil: os.Stdout
}

// JSON writes each Test event as the line that `go test -json` writes for it, so that whatever
// reads `go test -json` reads this. Gateways are not in it. A shard that came to its end has a
// Trailer behind them; there is nothing else.
//
// Each event is one write, as in `go test -json`, so that a reader at the other end of a pipe has
// seen all that happened when a test hangs. A regular file has it a moment later.
type JSON struct {
	out  io.Writer
	file io.Closer // nil when the writer is the caller's
	name string    // for errors
	line []byte    // for the next line
	err  error     // the first failure; nothing is written after it, as half a line may be out

	trailing trailing
}

// NewJSON opens cfg.File, so that a path which cannot be written is known before the run. Close
// closes it; a writer in cfg.Out stays the caller's.
func NewJSON(cfg JSONConfig) (*JSON, error) {
	j := &JSON{out: cfg.Out, name: "output"}
	switch {
	case cfg.File != "":
		if err := atomicfile.MakeParent(cfg.File); err != nil {
			return nil, fmt.Errorf("create JSON report %q: %w", cfg.File, err)
		}
		f, err := os.Create(cfg.File)
		if err != nil {
			return nil, fmt.Errorf("create JSON report %q: %w", cfg.File, atomicfile.Cause(err))
		}
		j.out, j.file, j.name = f, f, fmt.Sprintf("report %q", cfg.File)
		if late := writeLate(f); late != nil {
			j.out, j.file = late, late
		}
	case cfg.Out == nil:
		j.out = os.Stdout
	}
	return j, nil
}

// Handle writes a Test event before it returns, the Trailer of a shard at the end, and nothing
// else. After a failed write it writes nothing more and returns that first error again.
func (j *JSON) Handle(e event.Event) error {
	if j.err != nil {
		return j.err
	}
	switch e := e.(type) {
	case event.RunStarted:
		j.trailing.begin(e)
	case event.Test:
		j.trailing.saw(e)
		j.err = j.write(e.Event)
	case event.Suspended:
		j.err = flushLate(j.out)
	case event.RunEnded:
		j.err = j.end(e)
	}
	if j.err != nil {
		j.err = fmt.Errorf("write JSON %s: %w", j.name, atomicfile.Cause(j.err))
	}
	return j.err
}

func (j *JSON) end(e event.RunEnded) error {
	line, err := j.trailing.end(e)
	if err != nil || line == nil {
		return err
	}
	_, err = j.out.Write(line)
	return err
}

func (j *JSON) write(e test2json.Event) error {
	j.line = append(e.AppendJSON(j.line[:0]), '\n')
	_, err := j.out.Write(j.line)
	if cap(j.line) > lineKept {
		j.line = nil
	}
	return err
}

// Close closes the file. Its error is the first of the whole report: some file systems tell of a
// full disk only here.
func (j *JSON) Close() error {
	if j.file == nil {
		return j.err
	}
	if err := j.file.Close(); err != nil && j.err == nil {
		j.err = fmt.Errorf("close JSON %s: %w", j.name, atomicfile.Cause(err))
	}
	return j.err
}

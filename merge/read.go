package merge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters"
)

// Kind is what a report is.
type Kind string

// The kinds.
const (
	KindEvents  Kind = "events of go test -json"
	KindJUnit   Kind = "JUnit"
	KindProfile Kind = "cover profile"
)

// File is a report that was read. The field of its kind is set.
type File struct {
	Name    string
	Kind    Kind
	Events  []test2json.Event      // without a trailer
	JUnit   *reporters.JUnitReport // nil when the file is cut off
	Profile *cover.Profile         // without blocks when the file is empty
	Shard   *Shard                 // nil when the file does not say, or its job did not come to its end

	empty bool   // of no kind, to be exact
	cut   string // where its text ends in the middle, or ""
}

// Read reads the named report. One that ends in the middle of an event or of an element is no error
// here: see Whole.
func Read(name string) (*File, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	f, err := parse(name, text)
	if err != nil {
		return nil, fmt.Errorf("read report %q: %w", name, err)
	}
	return f, nil
}

func parse(name string, text []byte) (*File, error) {
	f := &File{Name: name}
	var err error
	switch start := bytes.TrimLeft(text, "\ufeff \t\r\n"); {
	case bytes.HasPrefix(start, []byte("{")), bytes.Contains(start, []byte("\n{\"")):
		f.Kind = KindEvents
		err = f.parseEvents(start)
	case bytes.HasPrefix(start, []byte("<")):
		f.Kind = KindJUnit
		err = f.parseJUnit(start)
	case bytes.HasPrefix(start, []byte("mode:")):
		f.Kind = KindProfile
		f.Profile, err = cover.Parse(bytes.NewReader(start))
	case len(start) == 0:
		f.Kind, f.empty = KindEvents, true // of a job that had nothing to do, when no shard says otherwise
	default:
		err = fmt.Errorf("it is neither events of go test -json nor JUnit nor a cover profile")
	}
	return f, err
}

// parseEvents reads a line for each event. Lines that are none, such as what the go command itself
// has to say, are passed over after the first.
func (f *File) parseEvents(text []byte) error {
	lines := bufio.NewReader(bytes.NewReader(text))
	var bad error // of the last line
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] == '{' {
			if bad != nil {
				return bad
			}
			if bad = f.parseEvent(line); bad != nil {
				bad = fmt.Errorf("line %d: %w", n, bad)
			}
		}
		if err == io.EOF {
			break
		}
	}
	if _, ok := errors.AsType[*json.SyntaxError](bad); ok {
		f.cut = bad.Error()
		return nil
	}
	return bad
}

func (f *File) parseEvent(line []byte) error {
	var e test2json.Event
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	if f.Shard != nil {
		f.Shard.behind = true
	}
	switch e.Action {
	case "":
		return errors.New("it has no Action, as an event of go test -json has")
	case reporters.ActionShard:
		var t reporters.Trailer
		err := json.Unmarshal(line, &t)
		if err == nil && f.Shard == nil {
			f.Shard, err = newShard(t)
		}
		return err
	}
	f.Events = append(f.Events, e)
	return nil
}

func (f *File) parseJUnit(text []byte) error {
	report, err := reporters.ReadJUnit(bytes.NewReader(text))
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok && syntax.Msg == "unexpected EOF" {
		f.cut = fmt.Sprintf("it ends in line %d", syntax.Line)
		return nil
	}
	if err != nil {
		return err
	}
	f.JUnit = report
	if t, ok := report.Trailer(); ok {
		f.Shard, err = newShard(t)
	}
	return err
}

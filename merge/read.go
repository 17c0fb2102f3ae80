package merge

import (
	"bufio"
	"bytes"
	"encoding/json"
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
	Events  []test2json.Event
	JUnit   *reporters.JUnitReport
	Profile *cover.Profile // without blocks when the file is empty
}

// Read reads the named report.
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
		f.Events, err = parseEvents(start)
	case bytes.HasPrefix(start, []byte("<")):
		f.Kind = KindJUnit
		f.JUnit, err = reporters.ReadJUnit(bytes.NewReader(start))
	case bytes.HasPrefix(start, []byte("mode:")):
		f.Kind = KindProfile
		f.Profile, err = cover.Parse(bytes.NewReader(start))
	case len(start) == 0:
		f.Kind = KindEvents // of a job that had nothing to do
	default:
		err = fmt.Errorf("it is neither events of go test -json nor JUnit nor a cover profile")
	}
	return f, err
}

// parseEvents reads a line for each event. Lines that are none, such as what the go command itself has to say, are passed over after the first.
func parseEvents(text []byte) ([]test2json.Event, error) {
	var events []test2json.Event
	lines := bufio.NewReader(bytes.NewReader(text))
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] == '{' {
			var e test2json.Event
			if err := json.Unmarshal(line, &e); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			if e.Action == "" {
				return nil, fmt.Errorf("line %d: it has no Action, as an event of go test -json has", n)
			}
			events = append(events, e)
		}
		if err == io.EOF {
			return events, nil
		}
	}
}

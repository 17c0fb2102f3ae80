package cover

import (
	"bytes"
	"errors"
	"fmt"
)

// Bounds of a profile that comes from somebody who is not trusted. The largest seen, of a program
// with 3,000 packages under -coverpkg=./..., has 25 MB: some 500,000 blocks of 15,000 files.
const (
	mostText   = 64 << 20 // bytes
	mostBlocks = 1 << 20
	mostOfFile = 1 << 18 // blocks
	mostFiles  = 1 << 17
	// mostNew is how many bytes one profile may add to a table. The largest seen adds 9 MB.
	mostNew = 24 << 20
)

// Intake reads a profile as its text comes, and keeps what the table has not. Nobody has to be
// trusted with the text: what is beyond the bounds, or what no process would write, is an error.
type Intake struct {
	table *Table
	mode  Mode

	lines
	rest  []byte // the beginning of a line
	text  int    // bytes so far
	begun bool   // the first line has come
	err   error

	name   []byte // of the file that blocks come of
	key    []byte // of it, so far
	last   Block  // of it
	own    int    // blocks of it
	files  []*file
	counts countWriter
	blocks int
	size   int // what of the table's size is this intake's own
	added  int // bytes that the table has for its sake, size included
}

// Intake begins to read a profile of the given mode.
func (t *Table) Intake(mode Mode) *Intake { return &Intake{table: t, mode: mode} }

// Added is how many bytes the table has taken for the profile so far.
func (in *Intake) Added() int {
	if in == nil {
		return 0
	}
	return in.added
}

// Add reads the next part of the text. The error says that there is more of it than any process
// writes. Text that cannot be read is an error of End: a process that died may leave such. What has
// come is given up with either, and what comes after it is only counted.
func (in *Intake) Add(part []byte) error {
	err := in.read(part)
	if in.text += len(part); in.text > mostText {
		err = beyond("it has more than %d MiB", mostText>>20)
	}
	if in.account(); in.added > mostNew {
		err = beyond("it takes more than %d MiB beyond what others of its kind have", mostNew>>20)
	}
	if err == nil {
		return nil
	}
	in.Drop() // sets err
	in.err = fmt.Errorf("read cover profile: %w", err)
	if _, ok := err.(beyondError); ok {
		return in.err
	}
	return nil
}

// beyondError says that a profile is beyond the bounds.
type beyondError struct{ text string }

func (e beyondError) Error() string { return e.text }

func beyond(format string, most int) error { return beyondError{fmt.Sprintf(format, most)} }

func (in *Intake) read(part []byte) error {
	for len(part) > 0 && in.err == nil {
		end := bytes.IndexByte(part, '\n') + 1
		if end == 0 {
			end = len(part)
		}
		text := part[:end]
		part = part[end:]
		if len(in.rest) > 0 || text[end-1] != '\n' {
			in.rest = append(in.rest, text...)
			text = in.rest
		}
		if len(text) > maxLine {
			in.line++
			return in.tooLong(text)
		}
		if text[len(text)-1] != '\n' {
			break
		}
		in.line++
		if err := in.take(text[:len(text)-1]); err != nil {
			return err
		}
		in.rest = in.rest[:0]
	}
	return nil
}

// take takes a line.
func (in *Intake) take(text []byte) error {
	if !in.begun {
		in.begun = true
		mode, err := in.lines.mode(text)
		if err == nil && mode != in.mode {
			err = fmt.Errorf("its mode is %s, want %s", mode, in.mode)
		}
		return err
	}
	name, b, err := in.parse(text)
	if err != nil {
		return err
	}
	if in.mode == ModeSet && b.Count > 1 {
		return in.errorf(text, "in mode set a block runs or does not")
	}
	in.block(name, b)
	switch {
	case in.blocks > mostBlocks:
		return beyond("it has more than %d blocks", mostBlocks)
	case in.own > mostOfFile:
		return beyond("it has more than %d blocks of one file", mostOfFile)
	case len(in.files) >= mostFiles:
		return beyond("it has more than %d files", mostFiles)
	}
	return nil
}

// block takes a block.
func (in *Intake) block(name []byte, b Block) {
	if in.own > 0 && !bytes.Equal(name, in.name) {
		in.endFile()
	}
	if in.own == 0 {
		in.name = append(in.name[:0], name...)
		in.key = appendFile(in.key[:0], name)
		in.last = Block{}
	}
	in.key = appendBlock(in.key, &b, &in.last)
	in.last = b
	in.own++
	in.blocks++
	in.counts.add(b.Count)
}

func (in *Intake) endFile() {
	before := in.table.size
	in.files = append(in.files, in.table.add(in.key, in.own))
	in.added += in.table.size - before
	in.counts.flush()
	in.own = 0
}

// account adds to the table's size what the intake itself takes.
func (in *Intake) account() {
	size := cap(in.rest) + cap(in.key) + cap(in.name) + cap(in.counts.text) + entrySize*cap(in.files)
	in.table.size += size - in.size
	in.added += size - in.size
	in.size = size
}

// ErrDropped is the error of an Intake that was given up.
var ErrDropped = errors.New("profile was given up")

// End returns the profile, ErrEmpty where no text has come, or ErrDropped. The intake is over.
func (in *Intake) End() (*Counts, error) {
	switch {
	case in.err != nil:
		return nil, in.err
	case in.text == 0:
		in.Drop()
		return nil, ErrEmpty
	case len(in.rest) > 0:
		in.line++
		err := fmt.Errorf("read cover profile: %w", in.errorf(in.rest, "cut off"))
		in.Drop()
		return nil, err
	}
	return in.end(), nil
}

func (in *Intake) end() *Counts {
	if in.own > 0 {
		in.endFile()
	}
	t := in.table
	c := &Counts{table: t, layout: t.layoutOf(in.files), counts: bytes.Clone(in.counts.text)}
	t.size += countsSize + len(c.counts)
	in.added += countsSize + len(c.counts)
	in.files = nil
	in.Drop()
	return c
}

// Drop gives up what has come, and what will. It may be nil.
func (in *Intake) Drop() {
	if in == nil {
		return
	}
	if in.err == nil {
		in.err = ErrDropped
	}
	for _, f := range in.files {
		in.table.drop(f)
	}
	in.table.size -= in.size
	in.added -= in.size
	in.files, in.counts, in.rest, in.key, in.name, in.own, in.size = nil, countWriter{}, nil, nil, nil, 0, 0
}

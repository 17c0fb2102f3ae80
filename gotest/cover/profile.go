package cover

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Mode says what the counts of a profile mean, as -covermode does. The zero value is not a mode.
type Mode string

const (
	ModeSet    Mode = "set"    // 1 if it ran, else 0
	ModeCount  Mode = "count"  // how often it ran
	ModeAtomic Mode = "atomic" // the same, counted correctly under concurrency
)

// ParseMode returns the Mode of the given name, as after -covermode or "mode: ".
func ParseMode(name string) (Mode, error) {
	switch m := Mode(name); m {
	case ModeSet, ModeCount, ModeAtomic:
		return m, nil
	}
	return "", fmt.Errorf("parse cover mode %q: not set, count or atomic", name)
}

// Block is a range of source that runs as a whole. Lines and columns count from 1, columns in
// bytes.
type Block struct {
	File                                 string // import path of the package, and the file's name after a slash
	StartLine, StartCol, EndLine, EndCol uint32
	NumStmt                              uint32
	Count                                uint32 // at most its maximum, however often the block ran
}

// Profile is the coverage of one package's tests: every block of the packages that it covers, run
// or not.
type Profile struct {
	Mode   Mode
	Blocks []Block // in the order of the text
}

// ErrEmpty says that a profile has no bytes at all. A process that ended at the wrong moment leaves
// such a file; the go command ignores it.
var ErrEmpty = errors.New("profile is empty")

// maxLine bounds a line of a profile, in bytes. The longest path that an operating system takes is
// 32 KiB.
const maxLine = 64 << 10

// Parse reads a profile to the end. The error of a malformed one names the line, counted from 1;
// that of one without any bytes wraps ErrEmpty; one of r is wrapped. Parsing and Append are the
// identity on what go test writes. An Intake is for text that is not trusted.
func Parse(r io.Reader) (*Profile, error) {
	s := newScanner(r)
	mode, err := s.header()
	if err != nil {
		return nil, fmt.Errorf("parse cover profile: %w", err)
	}
	p := &Profile{Mode: mode}
	files := map[string]string{} // one string for each file, not for each block
	for {
		b, _, err := s.block(files)
		if err == io.EOF {
			return p, nil
		}
		if err != nil {
			return nil, fmt.Errorf("parse cover profile: %w", err)
		}
		p.Blocks = append(p.Blocks, b)
	}
}

// Append appends the profile's text, header included, and returns the extended slice.
func (p *Profile) Append(dst []byte) []byte {
	dst = appendHeader(dst, p.Mode)
	for _, b := range p.Blocks {
		dst = append(b.appendText(dst), '\n')
	}
	return dst
}

func appendHeader(dst []byte, mode Mode) []byte {
	return append(append(append(dst, "mode: "...), mode...), '\n')
}

func (b Block) appendText(dst []byte) []byte {
	dst = b.appendRange(dst)
	dst = strconv.AppendUint(append(dst, ' '), uint64(b.NumStmt), 10)
	return strconv.AppendUint(append(dst, ' '), uint64(b.Count), 10)
}

// appendRange appends "file:1.2,3.4".
func (b Block) appendRange(dst []byte) []byte {
	dst = append(dst, b.File...)
	dst = strconv.AppendUint(append(dst, ':'), uint64(b.StartLine), 10)
	dst = strconv.AppendUint(append(dst, '.'), uint64(b.StartCol), 10)
	dst = strconv.AppendUint(append(dst, ','), uint64(b.EndLine), 10)
	return strconv.AppendUint(append(dst, '.'), uint64(b.EndCol), 10)
}

// lines understands the lines of a profile, one after the other.
type lines struct {
	line int // number of the one last read
}

// scanner reads the lines of a profile.
type scanner struct {
	r *bufio.Reader
	lines
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, maxLine)}
}

// header reads the first line.
func (s *scanner) header() (Mode, error) {
	text, err := s.next()
	if err == io.EOF {
		return "", ErrEmpty
	}
	if err != nil {
		return "", err
	}
	return s.mode(text)
}

// mode understands the first line.
func (l *lines) mode(text []byte) (Mode, error) {
	name, ok := bytes.CutPrefix(text, []byte("mode: "))
	if !ok {
		return "", l.errorf(text, `no "mode: " in the first line`)
	}
	mode, err := ParseMode(string(name))
	if err != nil {
		return "", l.errorf(text, "unknown mode")
	}
	return mode, nil
}

// block reads the next line, and returns it without its newline too: valid until the next read. At
// the end the error is io.EOF. Names of files come from files, which block adds to.
func (s *scanner) block(files map[string]string) (b Block, text []byte, err error) {
	text, err = s.next()
	if err != nil {
		return Block{}, nil, err
	}
	name, b, err := s.parse(text)
	if err != nil {
		return Block{}, nil, err
	}
	file, ok := files[string(name)]
	if !ok {
		file = string(name)
		files[file] = file
	}
	b.File = file
	return b, text, nil
}

// parse understands a line of a block, whose file's name is a part of the line.
func (l *lines) parse(text []byte) (name []byte, b Block, err error) {
	colon := bytes.LastIndexByte(text, ':')
	if colon <= 0 {
		return nil, Block{}, l.errorf(text, "no file name")
	}
	rest := text[colon+1:]
	for _, field := range [...]struct {
		to    *uint32
		until byte
	}{{&b.StartLine, '.'}, {&b.StartCol, ','}, {&b.EndLine, '.'}, {&b.EndCol, ' '}, {&b.NumStmt, ' '}, {&b.Count, 0}} {
		digits := rest
		if field.until != 0 {
			i := bytes.IndexByte(rest, field.until)
			if i < 0 {
				return nil, Block{}, l.errorf(text, "want file:line.col,line.col statements count")
			}
			digits, rest = rest[:i], rest[i+1:]
		}
		n, err := strconv.ParseUint(string(digits), 10, 32)
		if err != nil {
			return nil, Block{}, l.errorf(text, fmt.Sprintf("%.40q is not a 32-bit number", digits))
		}
		*field.to = uint32(n)
	}
	return text[:colon], b, nil
}

// next reads a line and removes its newline. A last line without one is an error: what is missing
// may be digits of its count.
func (s *scanner) next() ([]byte, error) {
	text, err := s.r.ReadSlice('\n')
	if len(text) > 0 || err == nil {
		s.line++
	}
	switch {
	case err == nil:
		return text[:len(text)-1], nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, s.tooLong(text)
	case err == io.EOF && len(text) > 0:
		return nil, s.errorf(text, "cut off")
	case err == io.EOF:
		return nil, io.EOF
	}
	return nil, fmt.Errorf("line %d: %w", s.line+1, err)
}

func (l *lines) tooLong(text []byte) error {
	return l.errorf(text, fmt.Sprintf("longer than %d bytes", maxLine))
}

func (l *lines) errorf(text []byte, cause string) error {
	return fmt.Errorf("line %d: %.100q: %s", l.line, text, cause)
}

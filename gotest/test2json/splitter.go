package test2json

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// marker is ^V, which the testing package puts before a framing line when it runs with
// -test.v=test2json.
const marker = 0x16

// splitter cuts a byte stream into lines. A line ends after a \n, or before a ^V that does not
// begin it. A line that does not fit into limit bytes is handed on in parts, cut between UTF-8
// sequences, the last part with the \n. The name that begins the line of a benchmark's result is a
// part by itself when the rest has not arrived: it is to be seen while the benchmark runs.
//
// What is a whole line and what is a part depends only on the stream, with the exception of
// benchmark lines. Slices passed to whole and part are valid during the call only.
type splitter struct {
	limit int          // bytes; at least utf8.UTFMax
	held  []byte       // the start of a line whose end has not arrived; shorter than limit
	mid   bool         // the next byte continues a line of which a part has been handed on
	named bool         // mid, and that part was a benchmark's name and nothing else
	whole func([]byte) // takes a whole line
	part  func([]byte) // takes a part of a line
}

func newSplitter(limit int, whole, part func([]byte)) splitter {
	return splitter{limit: limit, held: make([]byte, 0, limit), whole: whole, part: part}
}

// write takes the next bytes of the stream. It does not keep b.
func (s *splitter) write(b []byte) {
	for len(s.held) > 0 && len(b) > 0 {
		held := len(s.held)
		n := min(s.limit-held, len(b))
		s.held = append(s.held, b[:n]...)
		used := s.scan(s.held)
		if used < held {
			s.held = s.held[:copy(s.held, s.held[used:])]
			b = b[n:]
			continue
		}
		s.held = s.held[:0]
		b = b[used-held:]
	}
	for len(b) > 0 {
		window := b[:min(s.limit, len(b))]
		used := s.scan(window)
		last := len(window) == len(b)
		b = b[used:]
		if last {
			s.held = append(s.held, b...)
			return
		}
	}
}

// flush hands on what is held as a part of a line. It does not end the line.
func (s *splitter) flush() {
	if len(s.held) > 0 {
		s.part(s.held)
		s.held = s.held[:0]
	}
}

// scan hands on the lines in window, which holds at most limit bytes and starts where the last scan
// left off, and returns the number of bytes that it is done with. What remains is less than limit
// bytes and has no end of line.
func (s *splitter) scan(window []byte) (used int) {
	newline := -1 // of the current line or of one before, or len(window) when there is none to come
	for used < len(window) {
		if newline < used {
			newline = len(window)
			if i := bytes.IndexByte(window[used:], '\n'); i >= 0 {
				newline = used + i
			}
		}
		if s.named && window[used] == marker {
			s.mid = false
		}
		s.named = false

		end := min(newline+1, len(window))
		if i := bytes.IndexByte(window[used+1:end], marker); i >= 0 {
			end = used + 1 + i
		} else if newline == len(window) {
			if n := benchmarkName(window[used:]); n > 0 && !s.mid {
				s.part(window[used : used+n])
				s.mid, s.named = true, true
				used += n
			}
			break
		}
		if s.mid {
			s.mid = false
			s.part(window[used:end])
		} else {
			s.whole(window[used:end])
		}
		used = end
	}
	if used == 0 && len(window) == s.limit {
		used = utf8Boundary(window)
		s.mid = true
		s.part(window[:used])
	}
	return used
}

// benchmarkName returns the length of the benchmark name that line begins with, up to and with the
// tab after it, or 0 when it does not begin with one.
func benchmarkName(line []byte) int {
	rest, ok := bytes.CutPrefix(line, []byte("Benchmark"))
	if !ok {
		return 0
	}
	tab := bytes.IndexByte(rest, '\t')
	if tab < 0 {
		return 0
	}
	if r, _ := utf8.DecodeRune(rest); unicode.IsLower(r) {
		return 0
	}
	return len(line) - len(rest) + tab + 1
}

// utf8Boundary returns the largest n for which b[:n] does not end inside of what may be a UTF-8
// sequence.
func utf8Boundary(b []byte) int {
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		c := b[len(b)-back]
		if c&0xc0 == 0x80 {
			continue // not the first byte of a sequence
		}
		want := 1
		switch {
		case c&0xe0 == 0xc0:
			want = 2
		case c&0xf0 == 0xe0:
			want = 3
		case c&0xf8 == 0xf0:
			want = 4
		}
		if back < want {
			return len(b) - back
		}
		break
	}
	return len(b)
}

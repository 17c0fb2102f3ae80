package history

import (
	"encoding/binary"
	"errors"
	"slices"
)

// A package's record is by far the most of a file, and all of it is read in every run. So it has a
// form of its own: numbers are varints of encoding/binary, texts have their length before them.
//
//	last seen
//	serial (1) and broken (2) in a byte, the key that serial holds until
//	runs in a row that have split it without harm
//	costs of a process: count, microseconds…
//	moments: count, (Unix seconds, key)…                 what the observations of a run have in common
//	tests: count, in order of their paths:
//	  bytes that the path has in common with the one before, the rest of it
//	  runs, missed, indivisible (0 or 1), the key that it holds until
//	  fingerprint of its last failure, red in the whole (0 or 1)
//	  observations: count, (index of the moment, microseconds, verdict)…

// moment is a run as its observations know it.
type moment struct {
	at  int64
	key uint32
}

const (
	flagSerial = 1 << iota
	flagBroken
)

var errMalformed = errors.New("it is malformed")

// append adds the record's form to text.
func (p *packageRecord) append(text []byte) []byte {
	text = binary.AppendVarint(text, p.LastSeen)
	var flags byte
	if p.Serial {
		flags |= flagSerial
	}
	if p.Broken {
		flags |= flagBroken
	}
	text = appendText(append(text, flags), p.SerialUntil)
	text = binary.AppendUvarint(text, uint64(p.Splits))
	text = binary.AppendUvarint(text, uint64(len(p.Process)))
	for _, m := range p.Process {
		text = binary.AppendVarint(text, m)
	}
	paths := p.paths()
	var moments []moment
	index := make(map[moment]uint64)
	for _, path := range paths {
		for _, o := range p.Tests[path].Recent {
			m := moment{o.At, o.Key}
			if _, ok := index[m]; !ok {
				index[m] = uint64(len(moments))
				moments = append(moments, m)
			}
		}
	}
	text = binary.AppendUvarint(text, uint64(len(moments)))
	for _, m := range moments {
		text = binary.AppendUvarint(binary.AppendVarint(text, m.at), uint64(m.key))
	}
	text = binary.AppendUvarint(text, uint64(len(paths)))
	before := ""
	for _, path := range paths {
		same := 0
		for same < min(len(path), len(before)) && path[same] == before[same] {
			same++
		}
		text = appendText(binary.AppendUvarint(text, uint64(same)), path[same:])
		text = p.Tests[path].append(text, index)
		before = path
	}
	return text
}

func (r *testRecord) append(text []byte, index map[moment]uint64) []byte {
	text = binary.AppendUvarint(binary.AppendUvarint(text, uint64(r.Runs)), uint64(r.Missed))
	text = appendText(appendBool(text, r.Indivisible), r.Until)
	text = appendBool(binary.AppendUvarint(text, r.Print), r.Red)
	text = binary.AppendUvarint(text, uint64(len(r.Recent)))
	for _, o := range r.Recent {
		text = binary.AppendUvarint(text, index[moment{o.At, o.Key}])
		text = binary.AppendVarint(text, o.Micros)
		text = append(text, o.Verdict)
	}
	return text
}

func appendBool(text []byte, b bool) []byte {
	if b {
		return append(text, 1)
	}
	return append(text, 0)
}

func appendText(text []byte, s string) []byte {
	return append(binary.AppendUvarint(text, uint64(len(s))), s...)
}

// read decodes what append made. What is not of this form is an error, and allocates no more than
// its own length a few times over.
func (p *packageRecord) read(text []byte) error {
	in := reader{rest: text}
	p.LastSeen = in.int()
	flags := in.byte()
	p.Serial, p.Broken, p.SerialUntil = flags&flagSerial != 0, flags&flagBroken != 0, in.text()
	p.Splits = int(in.uint())
	for range in.count() {
		p.Process = append(p.Process, in.int())
	}
	var moments []moment
	for range in.count() {
		moments = append(moments, moment{in.int(), uint32(in.uint())})
	}
	tests := in.count()
	p.Tests = make(map[string]*testRecord, tests)
	p.sorted = make([]string, 0, tests)
	records := make([]testRecord, tests)
	path := ""
	for i := range tests {
		same := in.uint()
		if same > uint64(len(path)) {
			return errMalformed
		}
		path = path[:same] + in.text()
		records[i].read(&in, moments)
		if in.bad || p.Tests[path] != nil {
			return errMalformed
		}
		p.Tests[path] = &records[i]
		p.sorted = append(p.sorted, path)
	}
	if in.bad || len(in.rest) > 0 || len(p.Process) > keptObservations || !slices.IsSortedFunc(p.sorted, comparePaths) {
		return errMalformed
	}
	return nil
}

func (r *testRecord) read(in *reader, moments []moment) {
	r.Runs, r.Missed = int(in.uint()), int(in.uint())
	r.Indivisible, r.Until = in.bool(), in.text()
	r.Print, r.Red = in.uint(), in.bool()
	n := in.count()
	if n > keptObservations {
		in.bad = true
		return
	}
	r.Recent = make([]observation, n)
	for i := range r.Recent {
		m := in.uint()
		if m >= uint64(len(moments)) {
			in.bad = true
			return
		}
		r.Recent[i] = observation{At: moments[m].at, Key: moments[m].key, Micros: in.int(), Verdict: in.byte()}
	}
}

// reader takes a record apart. After the first thing that is wrong it gives zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (in *reader) fail() { in.rest, in.bad = nil, true }

func (in *reader) uint() uint64 {
	v, n := binary.Uvarint(in.rest)
	if n <= 0 {
		in.fail()
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

func (in *reader) int() int64 {
	v, n := binary.Varint(in.rest)
	if n <= 0 {
		in.fail()
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

// count is the number of things that follow, each of which has at least a byte.
func (in *reader) count() int {
	n := in.uint()
	if n > uint64(len(in.rest)) {
		in.fail()
		return 0
	}
	return int(n)
}

func (in *reader) byte() byte {
	if len(in.rest) == 0 {
		in.fail()
		return 0
	}
	b := in.rest[0]
	in.rest = in.rest[1:]
	return b
}

func (in *reader) bool() bool { return in.byte() == 1 }

func (in *reader) text() string {
	n := in.count()
	s := string(in.rest[:n])
	in.rest = in.rest[n:]
	return s
}

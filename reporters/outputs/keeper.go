package outputs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	recordKept = 256 << 10 // bytes of output, with pieceHead and a name for each piece
	pieceHead  = 64        // bytes that a piece takes beside its name and its text, about
	runKept    = 16 << 20  // bytes, compressed
	windowSize = 1 << 20   // of the compression, in bytes: what its memory grows with
)

// Keeper keeps the outputs of a run. Its methods are called from one goroutine. That they cannot be
// kept is no error of the run.
type Keeper struct {
	store Store
	warn  func(error)
	run   Run
	begun bool
	limit int // runKept

	packages map[string]*openPackage // by name in the events; those that have begun and not ended
	builds   map[string]*open        // what compilers said, by ImportPath

	out     bytes.Buffer
	written int64 // bytes before they were compressed
	packed  *zstd.Encoder
	line    []byte
}

type openPackage struct {
	own   open
	tests map[string]*open // top-level
	free  *open
}

// open is what something has printed that has not ended.
type open struct {
	head, tail []segment
	bytes      [2]int // of head and of tail, as recordKept counts
	lost       int    // bytes of text
}

// segment is a Piece that grows.
type segment struct {
	test string
	text []byte
}

// Keep returns the Keeper of a run that begins. warn is told what keeps the outputs from being
// kept.
func (s Store) Keep(warn func(error)) *Keeper {
	return &Keeper{store: s, warn: warn, limit: runKept, packages: map[string]*openPackage{}, builds: map[string]*open{}}
}

// Handle keeps what the tests print. It returns no error.
func (k *Keeper) Handle(e event.Event) error {
	switch e := e.(type) {
	case event.RunStarted:
		k.begin(e)
	case event.Suspected:
		k.suspected(&e)
	case event.Test:
		k.test(&e)
	}
	return nil
}

func (k *Keeper) begin(e event.RunStarted) {
	k.run, k.begun = Run{ID: e.RunID, Time: e.Time, Command: e.Command}, true
	var err error
	if k.packed, err = zstd.NewWriter(&k.out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowSize)); err != nil {
		panic("BUG: " + err.Error()) // of wrong options
	}
	line, err := json.Marshal(k.run)
	if err != nil {
		panic("BUG: " + err.Error()) // texts and a time
	}
	k.write(append(line, '\n'))
}

// write compresses a line. Into memory it does not fail. A line that nobody would read is left out.
func (k *Keeper) write(line []byte) {
	if len(line) > lineLimit || k.written+int64(len(line)) > readLimit {
		return
	}
	k.written += int64(len(line))
	k.packed.Write(line)
}

func (k *Keeper) test(t *event.Test) {
	if !k.begun {
		return
	}
	if t.Package == "" {
		if t.Action == test2json.ActionBuildOutput {
			k.build(t.ImportPath).add("", t.Output)
		}
		return
	}
	p := k.packages[t.Package]
	if p == nil {
		p = &openPackage{tests: map[string]*open{}}
		k.packages[t.Package] = p
	}
	root, _, _ := strings.Cut(t.Test, "/")
	switch {
	case t.Action == test2json.ActionRun && t.Test == root:
		p.tests[root] = p.take()
	case t.Action == test2json.ActionOutput:
		if o := p.tests[root]; o != nil {
			o.add(t.Test, t.Output)
		} else {
			p.own.add("", t.Output)
		}
	case t.Terminal() && t.Test == "":
		delete(k.packages, t.Package)
		if said := k.builds[t.FailedBuild]; said != nil && t.FailedBuild != "" {
			k.keep(t, "", said, &p.own)
			return
		}
		k.keep(t, "", &p.own)
	case t.Terminal() && t.Test == root:
		if o := p.tests[root]; o != nil {
			k.keep(t, "", o)
			delete(p.tests, root)
			o.reset()
			p.free = o
		}
	}
}

// suspected keeps an attempt that does not count.
func (k *Keeper) suspected(s *event.Suspected) {
	if !k.begun {
		return
	}
	var o open
	end := event.Test{Event: test2json.Event{Action: test2json.ActionFail, Package: s.Package, Test: s.Test}, Gateway: s.Gateway}
	for _, e := range s.Said {
		if e.Action == test2json.ActionOutput {
			o.add(e.Test, e.Output)
		}
	}
	k.keep(&end, s.Why, &o)
}

func (k *Keeper) build(path string) *open {
	o := k.builds[path]
	if o == nil {
		o = &open{}
		k.builds[path] = o
	}
	return o
}

func (p *openPackage) take() *open {
	o := p.free
	if p.free = nil; o == nil {
		o = &open{}
	}
	return o
}

// add takes output. What is beyond half of recordKept goes to the tail, of which the start is left
// out as more comes.
func (o *open) add(test, text string) {
	const half = recordKept / 2
	if over := len(text) - half; over > 0 {
		o.lost += over
		text = text[over:]
	}
	if len(o.tail) == 0 {
		cost := len(text)
		if n := len(o.head); n == 0 || o.head[n-1].test != test {
			cost += pieceHead + len(test)
		}
		if o.bytes[0]+cost <= half {
			o.head = extend(o.head, test, text)
			o.bytes[0] += cost
			return
		}
	}
	o.tail = append(o.tail, segment{test, []byte(text)})
	o.bytes[1] += o.tail[len(o.tail)-1].cost()
	for len(o.tail) > 1 && o.bytes[1]-o.tail[0].cost() >= half {
		o.bytes[1] -= o.tail[0].cost()
		o.lost += len(o.tail[0].text)
		o.tail[0] = segment{}
		o.tail = o.tail[1:]
	}
}

func (s *segment) cost() int { return pieceHead + len(s.test) + len(s.text) }

func extend(all []segment, test, text string) []segment {
	n := len(all)
	if n > 0 && all[n-1].test == test {
		all[n-1].text = append(all[n-1].text, text...)
		return all
	}
	if n < cap(all) { // the memory of one that was there before
		all = all[:n+1]
		all[n].test, all[n].text = test, append(all[n].text[:0], text...)
		return all
	}
	return append(all, segment{test, []byte(text)})
}

// reset makes it empty. It keeps the memory of a short text.
func (o *open) reset() {
	if o.bytes[0] > 4<<10 {
		o.head = nil
	}
	*o = open{head: o.head[:0]}
}

// keep writes what has ended, unless there is too much of the run.
func (k *Keeper) keep(t *event.Test, why string, said ...*open) {
	full := k.out.Len()
	if full > 2*k.limit || full > k.limit && t.Action != test2json.ActionFail {
		return
	}
	b := append(k.line[:0], `{"package":`...)
	b = test2json.AppendString(b, t.Package)
	for _, f := range []struct{ name, value string }{
		{`,"test":`, t.Event.Test}, {`,"gateway":`, t.Gateway}, {`,"platform":`, t.Platform}, {`,"action":`, t.Action}, {`,"why":`, why},
	} {
		if f.value != "" {
			b = test2json.AppendString(append(b, f.name...), f.value)
		}
	}
	if t.Attempt > 0 {
		b = strconv.AppendInt(append(b, `,"attempt":`...), int64(t.Attempt), 10)
	}
	if t.Elapsed != nil && *t.Elapsed > 0 && *t.Elapsed < 1e9 {
		b = strconv.AppendFloat(append(b, `,"elapsed":`...), *t.Elapsed, 'f', -1, 64)
	}
	b = append(b, `,"pieces":[`...)
	first, lost := true, 0
	for _, o := range said {
		lost += o.lost
		for _, part := range [][]segment{o.head, o.tail} {
			for _, s := range part {
				if !first {
					b = append(b, ',')
				}
				first = false
				b = test2json.AppendString(append(b, `{"test":`...), s.test)
				b = test2json.AppendString(append(b, `,"output":`...), string(s.text))
				b = append(b, '}')
			}
		}
	}
	b = append(b, ']')
	if lost > 0 {
		b = strconv.AppendInt(append(b, `,"lost":`...), int64(lost), 10)
	}
	k.line = append(b, "}\n"...)
	k.write(k.line)
	if cap(k.line) > recordKept {
		k.line = nil
	}
}

// Close writes the run into the store, and makes room there.
func (k *Keeper) Close() error {
	if !k.begun {
		return nil
	}
	k.packed.Close() // into memory it does not fail
	err := ownfile.MakeDir(k.store.Dir)
	var f *atomicfile.File
	if err == nil {
		f, err = atomicfile.New(k.store.name(k.run))
	}
	if err == nil {
		err = f.Replace(func(w io.Writer) error { _, err := w.Write(k.out.Bytes()); return err })
	}
	if err == nil {
		err = k.store.prune()
	}
	if err != nil && k.warn != nil {
		k.warn(fmt.Errorf("keep the outputs for xdist show: %w", err))
	}
	return nil
}

var _ event.Reporter = (*Keeper)(nil)

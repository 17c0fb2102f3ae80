package scheduler

import (
	"iter"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/s2"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// packed is a list of events that takes little memory, for output that is held for long: what a
// test logs is a tenth of its size when it is compressed. The zero value is empty.
type packed struct {
	blocks [][]byte          // of events, encoded and compressed
	open   []test2json.Event // those that came last
	size   int               // of blocks, and the weight of open
	weight int               // of open
}

// packedBlock is the weight of the events of a block, in bytes.
const packedBlock = 256 << 10

// packedForm keeps what an event has, its time to the nanosecond.
var packedForm = func() cbor.EncMode {
	m, err := cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode()
	if err != nil {
		panic("BUG: packed: " + err.Error())
	}
	return m
}()

// add adds an event and returns by how much the list has grown, which is less than nothing when a
// block was compressed.
func (p *packed) add(e test2json.Event) (grown int) {
	before := p.size
	p.open = append(p.open, e)
	p.weight += weigh(e)
	p.size += weigh(e)
	if p.weight >= packedBlock {
		text, err := packedForm.Marshal(p.open)
		if err != nil {
			panic("BUG: packed: " + err.Error())
		}
		block := s2.Encode(nil, text)
		block = append(make([]byte, 0, len(block)), block...) // s2 takes as much as it might need
		p.blocks = append(p.blocks, block)
		p.size += len(block) - p.weight
		p.open, p.weight = p.open[:0], 0
		clear(p.open[:cap(p.open)])
	}
	return p.size - before
}

// all are the events in their order.
func (p *packed) all() iter.Seq[test2json.Event] {
	return func(yield func(test2json.Event) bool) {
		for _, block := range p.blocks {
			text, err := s2.Decode(nil, block)
			var events []test2json.Event
			if err == nil {
				err = cbor.Unmarshal(text, &events)
			}
			if err != nil {
				panic("BUG: packed: " + err.Error())
			}
			for _, e := range events {
				if !yield(e) {
					return
				}
			}
		}
		for _, e := range p.open {
			if !yield(e) {
				return
			}
		}
	}
}

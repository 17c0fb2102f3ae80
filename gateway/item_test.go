package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestItemsKeepTheirValue(t *testing.T) {
	type record struct {
		Name  string
		At    time.Time
		Took  time.Duration
		Data  []byte
		Inner Item
		Map   map[string]int
	}
	want := record{
		Name: "\xff not UTF-8", At: time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC), Took: time.Hour + 1,
		Data: []byte{0, 1}, Inner: Item{0x18, 0x2a}, Map: map[string]int{"a": math.MinInt64},
	}
	it, err := NewItem(want)
	if err != nil {
		t.Fatal(err)
	}
	var got record
	if err := it.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBytesOfItem(t *testing.T) {
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65535, 65536} {
		text := strings.Repeat("x", n)
		for _, v := range []any{text, []byte(text)} {
			it, err := NewItem(v)
			if err != nil {
				t.Fatal(err)
			}
			got, err := it.Bytes()
			if err != nil || string(got) != text {
				t.Errorf("%T of %d bytes: got %d bytes, %v", v, n, len(got), err)
			}
			var direct bytes.Buffer
			frame, err := encodeFrame(&direct, frameItem, v, maxItemSize)
			if err != nil || !bytes.HasSuffix(frame, it) {
				t.Errorf("%T of %d bytes: frame %x… is not of item %x…", v, n, frame[:min(8, len(frame))], it[:min(8, len(it))])
			}
		}
	}
	for _, it := range []Item{nil, {0x01}, {0x58}, {0x43, 1}, {0x5f, 0xff}, {0x5b, 255, 255, 255, 255, 255, 255, 255, 255}} {
		if b, err := it.Bytes(); err == nil {
			t.Errorf("%x: got %x", []byte(it), b)
		}
	}
}

// Integers go and come as other values do, by a way of their own.
func TestIntegers(t *testing.T) {
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt, -1, -24, -25, -256, -257, -65537, math.MinInt} {
		it, err := NewItem(n)
		if err != nil {
			t.Fatal(err)
		}
		want, err := encodeFrame(new(bytes.Buffer), frameItem, it, maxItemSize)
		if frame := appendIntFrame(nil, n); err != nil || !bytes.Equal(frame, want) || len(frame) > maxIntFrame {
			t.Errorf("%d: frame %x, want %x, %v", n, frame, want, err)
		}
		got, other := 1, int64(1)
		if err := errors.Join(it.Decode(&got), it.Decode(&other)); err != nil || got != n || other != int64(n) {
			t.Errorf("%d: got %d and %d, %v", n, got, other, err)
		}
	}
	for text, want := range map[string]int{"\x18\x05": 5, "\x1b\x00\x00\x00\x00\x00\x00\x01\x00": 256, "\x39\x00\x00": -1} { // longer than they need be
		if got := -7; Item(text).Decode(&got) != nil || got != want {
			t.Errorf("%x: %d, want %d", text, got, want)
		}
	}
	for _, text := range []string{"", "\x18", "\x1c", "\x1f", "\x00\x00", "\x1b\x80\x00\x00\x00\x00\x00\x00\x00", "\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "\x61a", "\xf6\x00"} {
		if got := -7; Item(text).Decode(&got) == nil {
			t.Errorf("%x is decoded: %d", text, got)
		}
	}
}

func TestDecodingIsBounded(t *testing.T) {
	for name, it := range map[string]Item{
		"deep":            bytes.Repeat([]byte{0x81}, maxNesting+2),
		"promised array":  {0x9a, 0x7f, 0xff, 0xff, 0xff},
		"promised string": {0x5a, 0x7f, 0xff, 0xff, 0xff},
		"indefinite":      {0x9f, 0x01, 0xff},
		"empty":           {},
		"trailing":        {0x01, 0x01},
	} {
		if err := it.Decode(new(any)); err == nil {
			t.Errorf("%s was decoded", name)
		}
	}
}

func TestFrameReaderDoesNotTrustLengths(t *testing.T) {
	var b bytes.Buffer
	frame, err := encodeFrame(&b, frameItem, make([]byte, 100), maxItemSize)
	if err != nil {
		t.Fatal(err)
	}
	fr := &frameReader{r: bufio.NewReader(bytes.NewReader(frame)), limit: 50}
	if _, _, err := fr.next(); !errors.Is(err, ErrProtocol) {
		t.Errorf("above the limit: %v", err)
	}
	allocated := testing.AllocsPerRun(1, func() {
		fr := &frameReader{r: bufio.NewReader(strings.NewReader("\x02\xff\xff\xff\xff\x03")), limit: maxItemSize}
		_, content, err := fr.next()
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrProtocol) || cap(content) > readAhead {
			t.Errorf("got %d bytes, %v", cap(content), err)
		}
	})
	if allocated > 20 {
		t.Errorf("%v allocations", allocated)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x01\x01\xa0\x02\x01\x05\x03\x00\x04\x00"))
	f.Fuzz(func(t *testing.T, input []byte) {
		r := bufio.NewReader(bytes.NewReader(input))
		fr := &frameReader{r: r, limit: minItemSize}
		for {
			follows := fr.itemFollows(r)
			kind, content, err := fr.next()
			if follows && (err != nil || kind != frameItem || len(content) == 0) {
				t.Fatalf("there was to be an item: kind %d, %d bytes, %v", kind, len(content), err)
			}
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrProtocol) {
					t.Fatalf("undocumented error %v", err)
				}
				return
			}
			if len(content) == 0 {
				continue
			}
			again, err := encodeFrame(new(bytes.Buffer), kind, Item(content), minItemSize)
			if err != nil || !bytes.Contains(input, again[len(again)-len(content):]) {
				t.Fatalf("frame %x: %v", again, err)
			}
		}
	})
}

func FuzzItem(f *testing.F) {
	for _, v := range []any{1, "text", []byte{1}, []any{1, map[string]any{"a": nil}}, Ref{Nonce: 1, ID: 2}} {
		it, err := NewItem(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(it))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		it := Item(input)
		it.Bytes()
		var ref Ref
		it.Decode(&ref)
		var msg controlMessage
		it.Decode(&msg)
		var v any
		if it.Decode(&v) != nil {
			return
		}
		again, err := NewItem(v)
		if err != nil {
			return // CBOR knows values that Go has no type for
		}
		var w any
		if err := again.Decode(&w); err != nil {
			t.Fatalf("%x was decoded to %v, encoded to %x and not decoded again: %v", input, v, again, err)
		}
	})
}

package rsync

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

// TestPace: the zero value is not slow, a rate below the limit is, what was fast long ago does not
// count, and more than one target on the way does not make a slow one fast.
func TestPace(t *testing.T) {
	var p pace
	is := func(slow bool, what string) {
		t.Helper()
		if p.slow() != slow {
			t.Errorf("%s: slow is %v", what, !slow)
		}
	}
	is(false, "nothing sent")
	p.sent(100<<20, time.Millisecond)
	is(false, "at memory's speed")
	for range 20 {
		p.sent(slowRate/10, 200*time.Millisecond)
	}
	is(true, "at half the rate")
	for range 20 {
		p.sent(slowRate/10, 50*time.Millisecond)
	}
	is(false, "at twice the rate")
	for range 20 { // two targets that wait at the same time
		p.sent(slowRate/10, 200*time.Millisecond)
		p.sent(slowRate/10, 200*time.Millisecond)
	}
	is(true, "two targets at half the rate")
}

// TestPackForms: each form is made where it is meant to be, and read back, with memory that is used
// again and without.
func TestPackForms(t *testing.T) {
	c := newCodec()
	defer c.close()
	text := bytes.Repeat([]byte("how now brown cow "), 5000)
	noise := []byte{7, 1, 9}
	buf := make([]byte, 0, len(text))
	for _, tt := range []struct {
		content []byte
		slow    bool
		form    byte
	}{{text, false, s2Form}, {text, true, zstdForm}, {noise, false, plainForm}, {noise, true, plainForm}} {
		c.pace = new(pace)
		if tt.slow {
			c.pace.sent(1, time.Second)
		}
		p := c.pack(filesPacket, tt.content)
		if p[1] != tt.form || cap(p) > 2*len(p)+64 {
			t.Errorf("%d bytes, slow %v: form %d in %d of %d bytes, want form %d", len(tt.content), tt.slow, p[1], len(p), cap(p), tt.form)
		}
		for _, to := range [][]byte{nil, buf} {
			k, got, err := c.unpackTo(to, p)
			if k != filesPacket || !bytes.Equal(got, tt.content) || err != nil {
				t.Errorf("unpack form %d: kind %c, %d bytes, %v", tt.form, k, len(got), err)
			}
		}
	}
}

// TestPackBomb: a packet that claims to hold more than is allowed is refused before there is memory
// for it.
func TestPackBomb(t *testing.T) {
	c := newCodec()
	defer c.close()
	claim := []byte{byte(filesPacket), s2Form, 0xff, 0xff, 0xff, 0xff, 0x0f, 0} // 4 GiB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := c.unpack(claim)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > packetAtMost {
		t.Errorf("unpack: %v, with %d bytes of memory", err, n)
	}
}

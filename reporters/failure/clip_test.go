package failure

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Clips of one room keep no more together than twice what it has, and say what is missing. What a
// full room keeps is the end. What is released makes room for others.
func TestRoom(t *testing.T) {
	const bytes = 16 * clipReused
	room := NewRoom(bytes)
	line := strings.Repeat("x", 95) + " %d\n"
	var clips []*Clip
	for i := range 60 {
		c := room.NewClip(bytes / 2)
		for range bytes / 90 {
			c.Add(fmt.Sprintf(line, i))
			if room.left < -bytes {
				t.Fatalf("%d bytes are left", room.left)
			}
		}
		clips = append(clips, c)
	}
	kept := 0
	for i, c := range clips {
		kept += c.size()
		text := c.String()
		if !strings.Contains(text, "bytes are left out here") {
			t.Errorf("clip %d: %q", i, text)
		}
		if i > 2 && i < 16 && (c.size() != clipReused || !strings.HasSuffix(text, fmt.Sprintf(line, i))) {
			t.Errorf("clip %d has %d bytes", i, c.size())
		}
	}
	if kept+room.left != bytes {
		t.Errorf("%d bytes are kept, and %d are left of %d", kept, room.left, bytes)
	}
	for _, c := range clips {
		c.Release()
		c.Release()
	}
	if room.left != bytes {
		t.Errorf("%d bytes are left of %d", room.left, bytes)
	}
	c := room.NewClip(60)
	if c.Add("all of it"); c.String() != "all of it" {
		t.Errorf("%q", c.String())
	}
}

// A place holds nothing of the output that it was found in.
func TestPlaceIsApart(t *testing.T) {
	for name, find := range map[string]func(string) Place{
		"Find":     func(s string) Place { return Find(s, nil) },
		"Compiled": Compiled,
	} {
		output := "    a_test.go:7: wrong\n" + strings.Repeat("x", 100)
		if name == "Compiled" {
			output = strings.TrimSpace(output)
		}
		p := find(output)
		if p.File != "a_test.go" || p.Line != 7 || p.Message == "" {
			t.Errorf("%s: %+v", name, p)
		}
		for _, part := range []string{p.File, p.Message} {
			if within(part, output) {
				t.Errorf("%s: %q is a part of the output", name, part)
			}
		}
	}
}

func within(part, whole string) bool {
	at, from := uintptr(unsafe.Pointer(unsafe.StringData(part))), uintptr(unsafe.Pointer(unsafe.StringData(whole)))
	return at >= from && at < from+uintptr(len(whole))
}

// Subtests that print and do not end take no more than Total, and what ends gives it back.
func TestCollectorIsBounded(t *testing.T) {
	c := collector{Sources: new(Sources), Limit: 1000}
	for i := range 100 {
		add := func(action, test, output string) {
			c.Add(&event.Test{Event: test2json.Event{Action: action, Package: "p", Test: test, Output: output}})
		}
		test := fmt.Sprint("TestA/", i)
		add("run", test, "")
		add("output", test, strings.Repeat("x", 1000))
		if i%10 == 0 {
			add("fail", test, "")
		}
	}
	kept := 0
	for _, q := range c.packages["p"].items["TestA"].subs {
		kept += q.out.size()
	}
	if len(c.packages["p"].items["TestA"].subs) > 16 || kept > 4000 || kept < 3000 {
		t.Errorf("%d bytes are kept", kept)
	}
	if c.Add(&event.Test{Event: test2json.Event{Action: "fail", Package: "p"}}); c.room.left != 4000 {
		t.Errorf("%d bytes are left of 4000 when all has ended", c.room.left)
	}
}

package failure

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Clips of one room keep no more together than it has, and say what is missing. What is released
// makes room for others.
func TestRoom(t *testing.T) {
	room := NewRoom(100)
	var clips []*Clip
	for i := range 10 {
		c := room.NewClip(60)
		for k := range 30 {
			c.Add(fmt.Sprintf("%d.%02d ", i, k))
			if room.left < 0 {
				t.Fatalf("%d bytes are left", room.left)
			}
		}
		clips = append(clips, c)
	}
	kept := 0
	for i, c := range clips {
		kept += c.size()
		if text := c.String(); i > 0 && !strings.Contains(text, "bytes are left out here") {
			t.Errorf("clip %d: %q", i, text)
		}
	}
	if kept+room.left != 100 {
		t.Errorf("%d bytes are kept, and %d are left of 100", kept, room.left)
	}
	for _, c := range clips {
		c.Release()
		c.Release()
	}
	if room.left != 100 {
		t.Errorf("%d bytes are left of 100", room.left)
	}
	c := room.NewClip(60)
	if c.Add("all of it"); c.String() != "all of it" {
		t.Errorf("%q", c.String())
	}
}

// Subtests that print and do not end take no more than Total, and what ends gives it back.
func TestCollectorIsBounded(t *testing.T) {
	c := Collector{Sources: new(Sources), Limit: 1000}
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

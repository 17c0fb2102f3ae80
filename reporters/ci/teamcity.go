package ci

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// teamCityMessage is a service message with attributes in pairs of name and value.
func teamCityMessage(name string, attributes ...string) string {
	var b strings.Builder
	b.WriteString("##teamcity[" + name)
	for i := 0; i+1 < len(attributes); i += 2 {
		fmt.Fprintf(&b, " %s='%s'", attributes[i], teamCityValue(attributes[i+1]))
	}
	b.WriteString("]\n")
	return b.String()
}

// teamCityValue escapes a value: what has a meaning with a bar before it, and what is not ASCII by
// its UTF-16 code.
func teamCityValue(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\'' || r == '|' || r == '[' || r == ']':
			b.WriteByte('|')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString("|n")
		case r == '\r':
			b.WriteString("|r")
		case r < 0x80:
			b.WriteRune(r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, "|0x%04X", unit)
			}
		}
	}
	return b.String()
}

// flows turns the tests of a run into messages: a suite and a flow for each package, since packages
// run side by side. The tests of an item are told when it has ended and no other attempt follows.
type flows struct {
	open map[string]*flow // by package
	room *failure.Room    // of their texts
}

type flow struct {
	tests []event.Test             // terminal events of subtests whose item has not ended
	texts map[string]*failure.Clip // of tests that have begun
}

// add takes the next event. e is what has ended badly with it, or nil.
func (f *flows) add(t event.Test, e *failure.Ended) string {
	if t.Package == "" {
		return ""
	}
	var b strings.Builder
	p := f.open[t.Package]
	if p == nil {
		if f.open == nil {
			f.open, f.room = map[string]*flow{}, failure.NewRoom(textsKept)
		}
		p = &flow{texts: map[string]*failure.Clip{}}
		f.open[t.Package] = p
		b.WriteString(teamCityMessage("testSuiteStarted", "name", t.Package, "flowId", t.Package))
	}
	switch {
	case t.Action == test2json.ActionOutput && t.Test != "":
		if p.texts[t.Test] == nil {
			p.texts[t.Test] = f.room.NewClip(textKept)
		}
		p.texts[t.Test].Add(t.Output)
	case t.Terminal() && strings.Contains(t.Test, "/"):
		p.tests = append(p.tests, t)
	case t.Terminal() && t.Test != "":
		if !t.Again {
			for _, sub := range append(p.tests, t) {
				p.tell(&b, sub)
			}
		}
		p.tests = nil
		p.forget()
	case t.Terminal():
		if e != nil {
			n := noteOf(e.Findings[0], "")
			b.WriteString(teamCityMessage("buildProblem", "description", n.title+": "+n.message))
		}
		b.WriteString(teamCityMessage("testSuiteFinished", "name", t.Package, "flowId", t.Package))
		p.forget()
		delete(f.open, t.Package)
	}
	return b.String()
}

const (
	textKept  = 64 << 10 // bytes of the output of a test that are told
	textsKept = 16 << 20 // of all tests that have begun and whose item has not ended
)

// forget drops the texts of tests that have been told.
func (p *flow) forget() {
	for _, text := range p.texts {
		text.Release()
	}
	clear(p.texts)
}

func (p *flow) tell(b *strings.Builder, t event.Test) {
	b.WriteString(teamCityMessage("testStarted", "name", t.Test, "flowId", t.Package))
	switch t.Action {
	case test2json.ActionFail:
		text := failure.WithoutFraming(failure.Plain(p.texts[t.Test].String()))
		b.WriteString(teamCityMessage("testFailed", "name", t.Test, "message", failure.Find(text, nil).Message, "details", text, "flowId", t.Package))
	case test2json.ActionSkip:
		b.WriteString(teamCityMessage("testIgnored", "name", t.Test, "message", failure.Find(p.texts[t.Test].String(), nil).Message, "flowId", t.Package))
	}
	var took time.Duration
	if t.Elapsed != nil {
		took = time.Duration(*t.Elapsed * float64(time.Second))
	}
	b.WriteString(teamCityMessage("testFinished", "name", t.Test, "duration", fmt.Sprint(took.Milliseconds()), "flowId", t.Package))
}

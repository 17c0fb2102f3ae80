package reporters

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"gotest.tools/gotestsum/testjson"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	// lanesShown is how many gateways the status line names; of more, those that run one test for
	// longest are named.
	lanesShown = 6
	// estimateAfter is how long tests must have run before the rest is estimated: the first ones
	// say little.
	estimateAfter = 2 * time.Second
)

// board is what the status line tells: how far the run is and what each gateway does. The zero
// value is a run that has not begun.
type board struct {
	begun  time.Time // when the first test began
	total  int
	done   int
	failed int // items, and builds
	lanes  map[string]*lane

	suspects map[suspect]bool // items that have failed and run again, to be confirmed
}

type suspect struct{ pkg, name string }

// lane is what one gateway does.
type lane struct {
	gateway string
	pkg     string // "" when it is idle
	since   time.Time
	tests   []runningTest // in the order in which they began
}

type runningTest struct {
	pkg, name string
	since     time.Time
	parked    bool // waits in t.Parallel
}

func (b *board) update(e event.Event) {
	switch e := e.(type) {
	case event.Collected:
		b.total += e.Items
	case event.GatewayUp:
		b.lane(e.Gateway)
	case event.GatewayDown:
		delete(b.lanes, e.Gateway)
	case event.UnitStarted:
		l := b.lane(e.Gateway)
		l.pkg, l.since, l.tests = e.Package, e.Time, nil
	case event.UnitEnded:
		l := b.lane(e.Gateway)
		l.pkg, l.tests = "", nil
	case event.Progress:
		if e.Action == test2json.ActionRun && b.begun.IsZero() {
			b.begun = e.Time
		}
		b.lane(e.Gateway).update(e)
	case event.Suspected:
		if b.suspects == nil {
			b.suspects = map[suspect]bool{}
		}
		b.suspects[suspect{e.Package, e.Test}] = true
	case event.Test:
		b.updateTest(e)
	}
}

func (b *board) updateTest(t event.Test) {
	b.done = max(b.done, t.Done)
	b.total = max(b.total, t.Total)
	if t.Action == test2json.ActionBuildFail ||
		t.Action == test2json.ActionFail && !t.Again && t.Test != "" && !strings.Contains(t.Test, "/") {
		b.failed++
	}
	if t.Action != test2json.ActionPass && t.Action != test2json.ActionFail && t.Action != test2json.ActionSkip {
		return
	}
	// What does not run in the end has no event but its package's.
	maps.DeleteFunc(b.suspects, func(s suspect, _ bool) bool {
		return s.pkg == t.Package && (s.name == t.Test || t.Test == "")
	})
}

func (b *board) lane(gateway string) *lane {
	l := b.lanes[gateway]
	if l == nil {
		l = &lane{gateway: gateway}
		if b.lanes == nil {
			b.lanes = map[string]*lane{}
		}
		b.lanes[gateway] = l
	}
	return l
}

func (l *lane) update(e event.Progress) {
	i := slices.IndexFunc(l.tests, func(t runningTest) bool { return t.name == e.Test && t.pkg == e.Package })
	switch {
	case e.Action == test2json.ActionRun && i < 0:
		l.tests = append(l.tests, runningTest{pkg: e.Package, name: e.Test, since: e.Time})
	case i < 0:
	case e.Action == test2json.ActionPause:
		l.tests[i].parked = true
	case e.Action == test2json.ActionCont:
		l.tests[i].parked, l.tests[i].since = false, e.Time
	case e.Action == test2json.ActionPass || e.Action == test2json.ActionFail || e.Action == test2json.ActionSkip:
		l.tests = slices.Delete(l.tests, i, i+1)
	}
}

// current returns what the gateway has been at for longest: the first of its running tests, or its
// unit between tests.
func (l *lane) current() (name string, since time.Time) {
	for _, t := range l.tests {
		if !t.parked {
			return t.pkg + "." + t.name, t.since
		}
	}
	return l.pkg, l.since
}

// line returns the status line, at most width cells wide, without colours or a newline. A width
// below 1 gives "".
func (b *board) line(now time.Time, width int) string {
	parts := []string{b.progress()}
	if b.failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", b.failed))
	}
	if n := len(b.suspects); n > 0 {
		parts = append(parts, fmt.Sprintf("%d suspected", n))
	}
	if left, ok := b.left(now); ok {
		parts = append(parts, "about "+left.String()+" left")
	}
	text := strings.Join(parts, " · ")
	return cut(text+b.lanesText(now, width-cells(text)), width)
}

func (b *board) progress() string {
	if b.total == 0 {
		return "collecting"
	}
	return fmt.Sprintf("%d/%d %d%%", b.done, b.total, min(b.done, b.total)*100/b.total)
}

// left estimates the time to the end from the time that the items took so far.
func (b *board) left(now time.Time) (time.Duration, bool) {
	spent := now.Sub(b.begun)
	if b.begun.IsZero() || spent < estimateAfter || b.done == 0 || b.done >= b.total {
		return 0, false
	}
	left := time.Duration(float64(spent) / float64(b.done) * float64(b.total-b.done))
	return max(time.Second, left.Round(time.Second)), true
}

// lanesText names as many busy gateways as fit in width, and says how many more there are.
func (b *board) lanesText(now time.Time, width int) string {
	busy := b.busy()
	var text strings.Builder
	for i, l := range busy {
		name, since := l.current()
		part := " · " + l.gateway + " " + printable(name)
		if d := now.Sub(since).Truncate(time.Second); d > 0 {
			part += " " + d.String()
		}
		more := fmt.Sprintf(" · +%d more", len(busy)-i)
		room := width - cells(text.String()) - cells(part)
		if i < len(busy)-1 {
			room -= cells(more)
		}
		if i > 0 && (room < 0 || i == lanesShown) {
			return text.String() + more
		}
		text.WriteString(part)
	}
	return text.String()
}

// busy returns the gateways that run something in the order of their ids, or when there are many
// with the one first that has been at one thing for longest.
func (b *board) busy() []*lane {
	var busy []*lane
	for _, l := range b.lanes {
		if l.pkg != "" || len(l.tests) > 0 {
			busy = append(busy, l)
		}
	}
	byID := func(x, y *lane) int {
		return cmp.Or(cmp.Compare(len(x.gateway), len(y.gateway)), cmp.Compare(x.gateway, y.gateway))
	}
	slices.SortFunc(busy, func(x, y *lane) int {
		if len(busy) <= lanesShown {
			return byID(x, y)
		}
		_, sx := x.current()
		_, sy := y.current()
		return cmp.Or(sx.Compare(sy), byID(x, y))
	})
	return busy
}

// printable takes out of a name what would move the cursor.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, testjson.RelativePackagePath(name))
}

// cells is the most columns that text can take.
func cells(text string) int {
	n := 0
	for _, r := range text {
		n += cellsOf(r)
	}
	return n
}

func cellsOf(r rune) int {
	if maybeWide(r) {
		return 2
	}
	return 1
}

// maybeWide reports whether there are terminals that give r two cells. Scripts that have such
// characters begin at U+1100; of those after it the ones are known that gotestsum's formats and
// this package write.
func maybeWide(r rune) bool {
	return r >= 0x1100 && !strings.ContainsRune("·✖↷✓∅…\ufffd", r)
}

// cut shortens text to at most width columns, and marks that with an ellipsis.
func cut(text string, width int) string {
	if cells(text) <= width {
		return text
	}
	n := 0
	for i, r := range text {
		if n += cellsOf(r); n > width-1 {
			if width < 1 {
				return ""
			}
			return text[:i] + "…"
		}
	}
	return text
}

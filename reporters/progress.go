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
	// rowsShown is how many gateways the status line names; of more, those that run one test for
	// longest are named.
	rowsShown = 6
	// estimateAfter is how long tests must have run before the rest is estimated: the first ones
	// say little.
	estimateAfter = 2 * time.Second
)

// progress is what the status line tells: how far the run is and what each gateway does. The zero
// value is a run that has not begun.
type progress struct {
	begun  time.Time // when the first test began
	total  int
	done   int
	failed int // items, and builds
	rows   map[string]*row

	suspects map[suspect]bool // items that have failed and run again, to be confirmed
}

type suspect struct{ pkg, name string }

// row is what one gateway does.
type row struct {
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

func (p *progress) update(e event.Event) {
	switch e := e.(type) {
	case event.Collected:
		p.total += e.Items
	case event.GatewayUp:
		p.row(e.Gateway)
	case event.GatewayDown:
		delete(p.rows, e.Gateway)
	case event.UnitStarted:
		r := p.row(e.Gateway)
		r.pkg, r.since, r.tests = e.Package, e.Time, nil
	case event.UnitEnded:
		r := p.row(e.Gateway)
		r.pkg, r.tests = "", nil
	case event.Progress:
		if e.Action == test2json.ActionRun && p.begun.IsZero() {
			p.begun = e.Time
		}
		p.row(e.Gateway).update(e)
	case event.Suspected:
		if p.suspects == nil {
			p.suspects = map[suspect]bool{}
		}
		p.suspects[suspect{e.Package, e.Test}] = true
	case event.Test:
		p.updateTest(e)
	}
}

func (p *progress) updateTest(t event.Test) {
	p.done = max(p.done, t.Done)
	p.total = max(p.total, t.Total)
	if t.Action == test2json.ActionBuildFail ||
		t.Action == test2json.ActionFail && !t.Again && t.Test != "" && !strings.Contains(t.Test, "/") {
		p.failed++
	}
	if t.Action != test2json.ActionPass && t.Action != test2json.ActionFail && t.Action != test2json.ActionSkip {
		return
	}
	// What does not run in the end has no event but its package's.
	maps.DeleteFunc(p.suspects, func(s suspect, _ bool) bool {
		return s.pkg == t.Package && (s.name == t.Test || t.Test == "")
	})
}

func (p *progress) row(gateway string) *row {
	r := p.rows[gateway]
	if r == nil {
		r = &row{gateway: gateway}
		if p.rows == nil {
			p.rows = map[string]*row{}
		}
		p.rows[gateway] = r
	}
	return r
}

func (r *row) update(e event.Progress) {
	i := slices.IndexFunc(r.tests, func(t runningTest) bool { return t.name == e.Test && t.pkg == e.Package })
	switch {
	case e.Action == test2json.ActionRun && i < 0:
		r.tests = append(r.tests, runningTest{pkg: e.Package, name: e.Test, since: e.Time})
	case i < 0:
	case e.Action == test2json.ActionPause:
		r.tests[i].parked = true
	case e.Action == test2json.ActionCont:
		r.tests[i].parked, r.tests[i].since = false, e.Time
	case e.Action == test2json.ActionPass || e.Action == test2json.ActionFail || e.Action == test2json.ActionSkip:
		r.tests = slices.Delete(r.tests, i, i+1)
	}
}

// current returns what the gateway has been at for longest: the first of its running tests, or its
// unit between tests.
func (r *row) current() (name string, since time.Time) {
	for _, t := range r.tests {
		if !t.parked {
			return t.pkg + "." + t.name, t.since
		}
	}
	return r.pkg, r.since
}

// line returns the status line, at most width cells wide, without colours or a newline. A width
// below 1 gives "".
func (p *progress) line(now time.Time, width int) string {
	parts := []string{p.count()}
	if p.failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", p.failed))
	}
	if n := len(p.suspects); n > 0 {
		parts = append(parts, fmt.Sprintf("%d suspected", n))
	}
	if left, ok := p.left(now); ok {
		parts = append(parts, "about "+left.String()+" left")
	}
	text := strings.Join(parts, " · ")
	return cut(text+p.rowsText(now, width-cells(text)), width)
}

func (p *progress) count() string {
	if p.total == 0 {
		return "collecting"
	}
	return fmt.Sprintf("%d/%d %d%%", p.done, p.total, min(p.done, p.total)*100/p.total)
}

// left estimates the time to the end from the time that the items took so far.
func (p *progress) left(now time.Time) (time.Duration, bool) {
	spent := now.Sub(p.begun)
	if p.begun.IsZero() || spent < estimateAfter || p.done == 0 || p.done >= p.total {
		return 0, false
	}
	left := time.Duration(float64(spent) / float64(p.done) * float64(p.total-p.done))
	return max(time.Second, left.Round(time.Second)), true
}

// rowsText names as many busy gateways as fit in width, and says how many more there are.
func (p *progress) rowsText(now time.Time, width int) string {
	busy := p.busy()
	var text strings.Builder
	for i, r := range busy {
		name, since := r.current()
		part := " · " + r.gateway + " " + printable(name)
		if d := now.Sub(since).Truncate(time.Second); d > 0 {
			part += " " + d.String()
		}
		more := fmt.Sprintf(" · +%d more", len(busy)-i)
		room := width - cells(text.String()) - cells(part)
		if i < len(busy)-1 {
			room -= cells(more)
		}
		if i > 0 && (room < 0 || i == rowsShown) {
			return text.String() + more
		}
		text.WriteString(part)
	}
	return text.String()
}

// busy returns the gateways that run something in the order of their ids, or when there are many
// with the one first that has been at one thing for longest.
func (p *progress) busy() []*row {
	var busy []*row
	for _, r := range p.rows {
		if r.pkg != "" || len(r.tests) > 0 {
			busy = append(busy, r)
		}
	}
	byID := func(x, y *row) int {
		return cmp.Or(cmp.Compare(len(x.gateway), len(y.gateway)), cmp.Compare(x.gateway, y.gateway))
	}
	slices.SortFunc(busy, func(x, y *row) int {
		if len(busy) <= rowsShown {
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

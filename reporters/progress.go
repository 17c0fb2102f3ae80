package reporters

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/width"
	"gotest.tools/gotestsum/testjson"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	// rowsShown is how many gateways a status of one line names; of more, those that run one test
	// for longest are named.
	rowsShown = 6
	// screenPart is the part of the screen that the status may have.
	screenPart = 3
	// estimateAfter is how long tests must have run before the rest is told: the first ones say
	// little.
	estimateAfter = 2 * time.Second
)

// progress is what the status tells: how far the run is and what each gateway does. The zero value
// is a run that has not begun.
type progress struct {
	name     func(pkg string) string // what a package is called; nil: as events have it
	started  time.Time               // of the run
	begun    time.Time               // when the first test began
	packages int
	built    int    // packages of which it is known whether they can run
	step     string // what the go command does, or ""
	total    int
	done     int
	failed   int       // items, and builds
	end      time.Time // when the run will have ended, as the plan has it; zero is not known
	rows     map[string]*row
	hosts    map[string]string // by gateway
	sending  map[string]*sending
	opening  []opening // gateways that have not answered, in the order in which that began

	suspects map[suspect]bool // items that have failed and run again, to be confirmed
	flakes
}

// flakes are the items that passed after a failure that counts.
type flakes struct {
	again map[suspect]bool // items that have failed and run again
	flaky int
}

type suspect struct{ pkg, name string }

// opening is a gateway that is being connected to.
type opening struct {
	gateway, spec string
	since         time.Time
}

// sending is what is sent to a host.
type sending struct {
	since, last   time.Time
	before, bytes int64 // that were sent since the beginning, at these times
}

// sendingGap is how long nothing may have been told of what is sent for it to be over.
const sendingGap = time.Second

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
	expected  time.Duration // to take; 0 is not known
	parked    bool          // waits in t.Parallel
}

func (p *progress) update(e event.Event) {
	switch e := e.(type) {
	case event.RunStarted:
		p.started = e.Time
	case event.Collected:
		p.total += e.Items
		p.packages += e.Packages
	case event.Built:
		p.built++
	case event.GatewayOpening:
		p.opening = append(p.opening, opening{e.Gateway, e.Spec, e.Time})
	case event.GatewayUp:
		p.opened(e.Gateway)
		p.row(e.Gateway)
		if p.hosts == nil {
			p.hosts = map[string]string{}
		}
		p.hosts[e.Gateway] = e.Hostname
	case event.GatewayDown:
		p.opened(e.Gateway)
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
	case event.BuildStep:
		p.step = e.Step
	case event.Sending:
		p.sent(e)
	case event.Estimate:
		p.end = e.Time.Add(e.Left)
	case event.Resumed:
		p.shift(e.Stood)
	case event.Suspected:
		if p.suspects == nil {
			p.suspects = map[suspect]bool{}
		}
		p.suspects[suspect{e.Package, e.Test}] = true
	case event.Test:
		p.updateTest(e)
	}
}

// shift leaves out a time in which the run stood still.
func (p *progress) shift(d time.Duration) {
	for _, at := range []*time.Time{&p.started, &p.begun, &p.end} {
		if !at.IsZero() {
			*at = at.Add(d)
		}
	}
	for i := range p.opening {
		p.opening[i].since = p.opening[i].since.Add(d)
	}
	for _, r := range p.rows {
		r.since = r.since.Add(d)
		for i := range r.tests {
			r.tests[i].since = r.tests[i].since.Add(d)
		}
	}
}

func (p *progress) sent(e event.Sending) {
	s := p.sending[e.Hostname]
	if s == nil {
		s = new(sending)
		if p.sending == nil {
			p.sending = map[string]*sending{}
		}
		p.sending[e.Hostname] = s
	}
	if e.Time.Sub(s.last) > sendingGap {
		s.since, s.before = e.Time, e.Bytes
	}
	s.last, s.bytes = e.Time, e.Bytes
}

// carried is what is being sent, to whom, and how fast; "" is nothing.
func (p *progress) carried(now time.Time) string {
	var bytes int64
	var rate float64
	var to []string
	for host, s := range p.sending {
		if now.Sub(s.last) > sendingGap {
			continue
		}
		to = append(to, printable(host))
		bytes += s.bytes
		if took := s.last.Sub(s.since).Seconds(); took > 0 {
			rate += max(0, float64(s.bytes-s.before)) / took
		}
	}
	if len(to) == 0 {
		return ""
	}
	text := fmt.Sprintf("sending %.1f MB to ", float64(bytes)/1e6)
	if len(to) == 1 {
		text += to[0]
	} else {
		text += count(len(to), "host")
	}
	if rate > 0 {
		text += fmt.Sprintf(" %.1f MB/s", rate/1e6)
	}
	return text
}

func (p *progress) opened(gateway string) {
	p.opening = slices.DeleteFunc(p.opening, func(o opening) bool { return o.gateway == gateway })
}

func (p *progress) updateTest(t event.Test) {
	p.total = max(p.total, t.Total)
	p.done = max(p.done, t.Done)
	if t.Action == test2json.ActionBuildFail ||
		t.Action == test2json.ActionFail && !t.Again && t.Test != "" && !strings.Contains(t.Test, "/") {
		p.failed++
	}
	if t.Action != test2json.ActionPass && t.Action != test2json.ActionFail && t.Action != test2json.ActionSkip {
		return
	}
	if item := (suspect{t.Package, t.Test}); t.Again {
		if p.again == nil {
			p.again = map[suspect]bool{}
		}
		p.again[item] = true
	} else if p.again[item] {
		delete(p.again, item)
		if t.Action == test2json.ActionPass {
			p.flaky++
		}
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
		r.tests = append(r.tests, runningTest{pkg: e.Package, name: e.Test, since: e.Time, expected: e.Expected})
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
// unit between tests, which has no name.
func (r *row) current() runningTest {
	for _, t := range r.tests {
		if !t.parked {
			return t
		}
	}
	return runningTest{pkg: r.pkg, since: r.since}
}

// lines returns the status, each line at most width cells wide, without colours or newlines: how
// far the run is, and below that a line for each gateway that runs something, or for each host
// where these are too many for a part of a screen of that height. A height of 0 is not known, and
// all is in one line. A width below 1 gives nothing.
func (p *progress) lines(now time.Time, width, height int) []string {
	head := p.head(now)
	if height == 0 {
		return []string{cut(head+p.rowsText(now, width-cells(head)), width)}
	}
	lines := []string{head}
	if room := height/screenPart - 1; room > 0 {
		lines = append(lines, p.table(now, room)...)
	}
	for i := range lines {
		lines[i] = cut(lines[i], width)
	}
	return lines
}

// head is how far the run is, in a line.
func (p *progress) head(now time.Time) string {
	parts := []string{p.count()}
	if p.failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", p.failed))
	}
	if p.flaky > 0 {
		parts = append(parts, fmt.Sprintf("%d flaky", p.flaky))
	}
	if n := len(p.suspects); n > 0 {
		parts = append(parts, fmt.Sprintf("%d suspected", n))
	}
	if p.built < p.packages {
		text := fmt.Sprintf("building %d/%d packages", p.built, p.packages)
		if p.step != "" {
			text += ": " + printable(p.step)
		}
		parts = append(parts, text)
	}
	if n := len(p.opening); n > 0 {
		o := p.opening[0]
		text := fmt.Sprintf("connecting %s %s %s", o.gateway, printable(strings.TrimSuffix(o.spec, "//id="+o.gateway)), now.Sub(o.since).Truncate(time.Second))
		if n > 1 {
			text += fmt.Sprintf(" +%d more", n-1)
		}
		parts = append(parts, text)
	}
	if text := p.carried(now); text != "" {
		parts = append(parts, text)
	}
	if d := now.Sub(p.started).Truncate(time.Second); !p.started.IsZero() && d > 0 {
		parts = append(parts, d.String())
	}
	if left, ok := p.left(now); ok {
		parts = append(parts, "about "+left.String()+" left")
	}
	return strings.Join(parts, " · ")
}

func (p *progress) count() string {
	if p.total == 0 {
		return "collecting"
	}
	return fmt.Sprintf("%d/%d %d%%", p.done, p.total, min(p.done, p.total)*100/p.total)
}

// left is the time to the end that the plan has foreseen. Until it says something else, the end
// does not move.
func (p *progress) left(now time.Time) (time.Duration, bool) {
	if p.begun.IsZero() || now.Sub(p.begun) < estimateAfter || p.end.IsZero() || p.done >= p.total {
		return 0, false
	}
	return max(time.Second, p.end.Sub(now).Round(time.Second)), true
}

// table has a line for each busy gateway, or for each host of any where there are more than room,
// those first that have been at one thing for longest.
func (p *progress) table(now time.Time, room int) []string {
	busy := p.busy()
	var lines []string
	if len(busy) <= room {
		slices.SortFunc(busy, byID)
		width := 0
		for _, r := range busy {
			width = max(width, cells(r.gateway))
		}
		for _, r := range busy {
			lines = append(lines, "  "+padded(r.gateway, width)+"  "+p.doing(r, now))
		}
		return lines
	}
	gateways := map[string]int{}
	var hosts []*row // the first of each host
	for _, r := range busy {
		host := p.hosts[r.gateway]
		if gateways[host]++; gateways[host] == 1 {
			hosts = append(hosts, r)
		}
	}
	for i, r := range hosts {
		if i == room-1 && len(hosts) > room {
			return append(lines, fmt.Sprintf("  +%d more hosts", len(hosts)-i))
		}
		host := p.hosts[r.gateway]
		lines = append(lines, fmt.Sprintf("  %s  %s busy, longest %s", printable(host), count(gateways[host], "gateway"), p.doing(r, now)))
	}
	return lines
}

// doing is what the gateway has been at for longest, for how long, and how long that is expected to
// take.
func (p *progress) doing(r *row, now time.Time) string {
	at := r.current()
	pkg := at.pkg
	if p.name != nil {
		pkg = p.name(pkg)
	}
	text := printable(pkg)
	if at.name != "" {
		text += "." + printable(at.name)
	}
	if d := now.Sub(at.since).Truncate(time.Second); d > 0 {
		text += " " + d.String()
		if whole := at.expected.Round(time.Second); whole > 0 {
			text += " of " + whole.String()
		}
	}
	return text
}

// rowsText names as many busy gateways as fit in width, and says how many more there are: a few by
// their ids, many as busy has them.
func (p *progress) rowsText(now time.Time, width int) string {
	busy := p.busy()
	if len(busy) <= rowsShown {
		slices.SortFunc(busy, byID)
	}
	var text strings.Builder
	for i, r := range busy {
		part := " · " + r.gateway + " " + p.doing(r, now)
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

// busy returns the gateways that run something, the one first that has been at one thing for
// longest.
func (p *progress) busy() []*row {
	var busy []*row
	for _, r := range p.rows {
		if r.pkg != "" || len(r.tests) > 0 {
			busy = append(busy, r)
		}
	}
	slices.SortFunc(busy, func(x, y *row) int {
		sx, sy := x.current().since, y.current().since
		return cmp.Or(sx.Compare(sy), byID(x, y))
	})
	return busy
}

// byID puts gw2 before gw10.
func byID(x, y *row) int {
	return cmp.Or(cmp.Compare(len(x.gateway), len(y.gateway)), cmp.Compare(x.gateway, y.gateway))
}

// printable is a name as it is shown on a terminal.
func printable(name string) string { return failure.Printable(testjson.RelativePackagePath(name)) }

// cells is the most columns that text can take.
func cells(text string) int {
	n := 0
	for _, r := range text {
		n += cellsOf(r)
	}
	return n
}

// cellsOf is two also where it depends on the terminal, but for letters that are near to Latin and
// for what gotestsum's formats and this package write.
func cellsOf(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	case width.EastAsianAmbiguous:
		if r >= firstOfTwo && !strings.ContainsRune("·✖↷✓∅…\ufffd", r) {
			return 2
		}
	}
	return 1
}

// firstOfTwo is the first character that is as wide as two.
const firstOfTwo = 0x1100

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

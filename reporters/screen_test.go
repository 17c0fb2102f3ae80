package reporters

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// terminal understands what the screen writes and shows it as a terminal of that width would, all
// rows since the start. It fails the test on a sequence that it does not know.
type terminal struct {
	t     *testing.T
	mu    sync.Mutex
	width int
	rows  [][]rune
	row   int
	col   int // == width after the last column: the next character wraps
	draws int // times a status was drawn
}

func newTerminal(t *testing.T, width int) *terminal {
	return &terminal{t: t, width: width, rows: [][]rune{nil}}
}

func (v *terminal) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for text := string(p); text != ""; {
		if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
			i := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' })
			v.control(rest[:i], rest[i])
			text = rest[i+1:]
			continue
		}
		r := []rune(text)[0]
		v.char(r)
		text = text[len(string(r)):]
	}
	return len(p), nil
}

func (v *terminal) control(parameter string, final byte) {
	n, err := strconv.Atoi(parameter)
	if err != nil {
		n = 1
	}
	switch final {
	case 'A':
		v.row -= n
	case 'G':
		v.col = n - 1
	case 'J':
		v.rows = v.rows[:v.row+1]
		v.rows[v.row] = v.rows[v.row][:min(v.col, len(v.rows[v.row]))]
	case 'm':
	default:
		v.t.Errorf("unknown sequence %q", parameter+string(final))
	}
}

func (v *terminal) char(r rune) {
	switch r {
	case '\r':
		v.col = 0
		v.draws++ // only the screen writes it
	case '\n':
		v.row, v.col = v.row+1, 0
	default:
		if v.col == v.width {
			v.row, v.col = v.row+1, 0
		}
		v.grow()
		v.rows[v.row][v.col] = r
		v.col++
	}
	v.grow()
}

func (v *terminal) grow() {
	for len(v.rows) <= v.row {
		v.rows = append(v.rows, nil)
	}
	for len(v.rows[v.row]) <= v.col && v.col < v.width {
		v.rows[v.row] = append(v.rows[v.row], ' ')
	}
}

// String returns the rows, without blanks at their ends.
func (v *terminal) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var b strings.Builder
	for _, row := range v.rows {
		b.WriteString(strings.TrimRight(string(row), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func (v *terminal) columns() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.width
}

// fakeClock stands still until it is told to go on. Its ticks are taken one by one.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Time
	tickc chan time.Time
}

var startOfClock = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newFakeClock() *fakeClock { return &fakeClock{now: startOfClock, tickc: make(chan time.Time)} }

func (f *fakeClock) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeClock) clock() Clock {
	return Clock{Now: f.Now, Tick: func(time.Duration) (<-chan time.Time, func()) { return f.tickc, func() {} }}
}

// advance lets d pass and returns when a tick has been dealt with: the redrawing goroutine takes a
// second one only then, and finds nothing new.
func (f *fakeClock) advance(d time.Duration) {
	f.mu.Lock()
	f.now = f.now.Add(d)
	f.mu.Unlock()
	f.tickc <- time.Time{}
	f.tickc <- time.Time{}
}

type liveConsole struct {
	*Console
	t     *testing.T
	term  *terminal
	clock *fakeClock
}

func newLiveConsole(t *testing.T, format Format, width int) liveConsole {
	l := liveConsole{t: t, term: newTerminal(t, width), clock: newFakeClock()}
	l.Console = newConsole(t, ConsoleConfig{
		Out: l.term, Err: l.term, Format: format, Width: l.term.columns, Clock: l.clock.clock(),
	})
	t.Cleanup(func() { l.Close() })
	return l
}

func (l liveConsole) handle(events ...event.Event) {
	l.t.Helper()
	for _, e := range events {
		if t, ok := e.(event.Test); ok && t.Test != "" {
			if err := l.Handle(announcement(t)); err != nil {
				l.t.Fatal(err)
			}
		}
		if err := l.Handle(e); err != nil {
			l.t.Fatal(err)
		}
	}
}

// announcement is what announces a test's event.
func announcement(t event.Test) event.Progress {
	return event.Progress{Gateway: t.Gateway, Time: t.Time, Action: t.Action, Package: t.Package, Test: t.Test}
}

// follow updates the progress with a test's event and what announces it.
func (p *progress) follow(t event.Test) {
	p.update(announcement(t))
	p.update(t)
}

// on is e at a gateway and a second of the clock.
func on(e event.Test, gateway, pkg string, second, done, total int) event.Test {
	e.Gateway, e.Package, e.Done, e.Total = gateway, pkg, done, total
	e.Time = startOfClock.Add(time.Duration(second) * time.Second)
	return e
}

func (l liveConsole) shows(want ...string) {
	l.t.Helper()
	if diff := cmp.Diff(strings.Join(want, "\n"), l.term.String()); diff != "" {
		l.t.Errorf("the screen (-want +got):\n%s", diff)
	}
}

func TestStatusLineStory(t *testing.T) {
	l := newLiveConsole(t, FormatPkgname, 80)
	l.handle(event.RunStarted{}, event.GatewayUp{Gateway: "gw0"}, event.GatewayUp{Gateway: "gw1"})
	l.clock.advance(time.Second)
	l.shows("collecting")
	l.handle(
		event.Collected{Items: 10},
		event.UnitStarted{Gateway: "gw0", Package: "m/p", Time: startOfClock.Add(time.Second)},
		event.UnitStarted{Gateway: "gw1", Package: "m/q", Time: startOfClock.Add(time.Second)},
		on(testEvent("run", "TestA", ""), "gw0", "m/p", 1, 0, 10),
	)
	l.clock.advance(time.Second)
	l.shows("0/10 0% · gw0 m/p.TestA 1s · gw1 m/q 1s")

	// A test fails; the package's line scrolls above, and the status comes back with it.
	l.handle(on(testEvent("fail", "TestA", ""), "gw0", "m/p", 2, 1, 10), event.Estimate{Time: startOfClock.Add(2 * time.Second), Left: 29 * time.Second})
	l.clock.advance(2 * time.Second)
	l.shows("1/10 10% · 1 failed · about 27s left · gw0 m/p 3s · gw1 m/q 3s")
	l.clock.advance(10 * time.Millisecond)
	l.handle(on(testEvent("fail", "", ""), "gw0", "m/p", 4, 1, 10), event.UnitEnded{Gateway: "gw0", Package: "m/p"})
	l.shows("✖  m/p")
	l.clock.advance(time.Second)
	l.shows("✖  m/p", "1/10 10% · 1 failed · about 26s left · gw1 m/q 4s")

	// What goes to the error stream comes above it as well.
	l.clock.advance(time.Second)
	l.handle(event.Warning{Text: "gw1 is slow"})
	l.clock.advance(time.Second)
	l.shows("✖  m/p", "warning: gw1 is slow", "1/10 10% · 1 failed · about 24s left · gw1 m/q 6s")

	l.handle(event.GatewayDown{Gateway: "gw1"}, event.RunEnded{})
	if got := l.term.String(); strings.Contains(got, "left") || !strings.Contains(got, "\nDONE 1 tests") {
		t.Errorf("at the end:\n%s", got)
	}
}

// A line that is not finished stays as it is, with the status below it, and goes on where it was.
func TestStatusLineBelowDots(t *testing.T) {
	l := newLiveConsole(t, FormatDots, 20)
	dot := func(second int, test string) {
		l.handle(on(testEvent("run", test, ""), "gw0", "m/p", second, second, 50), on(testEvent("pass", test, ""), "gw0", "m/p", second, second, 50))
	}
	dot(0, "Test0")
	l.clock.advance(200 * time.Millisecond)
	l.shows("[m/p]·", "0/50 0%")
	l.handle(event.Estimate{Time: l.clock.Now(), Left: 100 * time.Second})
	for i := range 14 {
		dot(1, fmt.Sprint("Test", i))
		l.clock.advance(200 * time.Millisecond)
	}
	// The line is full: no terminal agrees with the next on where the cursor is.
	l.shows("[m/p]···············")
	dot(1, "TestNext")
	l.clock.advance(200 * time.Millisecond)
	l.shows("[m/p]···············", "·", "1/50 2% · about 1m…")
	l.handle(event.Stderr{Text: "go: note\n"})
	l.shows("[m/p]···············", "·", "go: note", "1/50 2% · about 1m…")
}

func TestStatusLineIsCutToTheWidthOfNow(t *testing.T) {
	l := newLiveConsole(t, FormatPkgname, 60)
	l.handle(on(testEvent("run", "TestWithARatherLongName/日本語", ""), "gw0", "example.com/module/pkg", 0, 0, 9))
	l.clock.advance(time.Second)
	l.shows("0/9 0% · gw0 example.com/module/pkg.TestWithARatherLongNam…")
	l.term.mu.Lock()
	l.term.width = 20
	l.term.mu.Unlock()
	l.handle(event.Stderr{Text: "x\n"})
	l.clock.advance(time.Second)
	l.shows("x", "0/9 0% · gw0 examp…")
}

// However many events come, the status is drawn about ten times a second.
func TestStatusLineRate(t *testing.T) {
	l := newLiveConsole(t, FormatStandardVerbose, 80)
	l.handle(on(testEvent("run", "TestX", ""), "gw0", "m/p", 0, 0, 1))
	const ms = 1000
	for i := range ms {
		l.handle(on(testEvent("output", "TestX", fmt.Sprint("line ", i, "\n")), "gw0", "m/p", 0, 0, 1))
		l.clock.mu.Lock()
		l.clock.now = l.clock.now.Add(time.Millisecond)
		l.clock.mu.Unlock()
		if i%110 == 109 {
			l.clock.tickc <- time.Time{}
		}
	}
	if l.term.draws < 5 || l.term.draws > 10 {
		t.Errorf("drawn %d times in a second", l.term.draws)
	}
}

func TestStatusLineIsNotRedrawnForNothing(t *testing.T) {
	l := newLiveConsole(t, FormatPkgname, 80)
	l.handle(event.Collected{Items: 3})
	for range 10 {
		l.clock.advance(time.Second)
	}
	if l.term.draws != 1 {
		t.Errorf("drawn %d times", l.term.draws)
	}
}

func TestStatusLineNotWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	c := newConsole(t, ConsoleConfig{Out: &out, Err: io.Discard, Format: FormatDotsV2})
	play(t, c, recordedAsRun(t, recordedRun))
	if s := strings.ReplaceAll(out.String(), "\x1b[31mred\x1b[0m", ""); strings.ContainsAny(s, "\x1b\r") {
		t.Errorf("something is rewritten: %q", s)
	}
}

func TestStatusLineWriteErrorIsReturned(t *testing.T) {
	clock := newFakeClock()
	c := newConsole(t, ConsoleConfig{
		Out: &fullWriter{}, Err: io.Discard, Width: func() int { return 80 }, Clock: clock.clock(),
	})
	clock.advance(time.Second)
	if err := c.Close(); err == nil {
		t.Error("no error")
	}
}

func TestStatusLineIsGoneAfterCloseWithoutEnd(t *testing.T) {
	l := newLiveConsole(t, FormatPkgname, 80)
	l.handle(event.Warning{Text: "a note"}, event.Collected{Items: 3})
	l.clock.advance(time.Second)
	l.shows("warning: a note", "0/3 0%")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	l.shows("warning: a note")
}

func TestBoardManyGateways(t *testing.T) {
	var p progress
	for i := range 18 {
		p.follow(on(testEvent("run", "TestX", ""), fmt.Sprintf("gw%d", i), "m/p", 20-i, 0, 40))
	}
	now := startOfClock.Add(21 * time.Second)
	for width, want := range map[int]string{
		200: "0/40 0% · gw17 m/p.TestX 18s · gw16 m/p.TestX 17s · gw15 m/p.TestX 16s · gw14 m/p.TestX 15s · " +
			"gw13 m/p.TestX 14s · gw12 m/p.TestX 13s · +12 more",
		60: "0/40 0% · gw17 m/p.TestX 18s · gw16 m/p.TestX 17s · +16 more",
		30: "0/40 0% · gw17 m/p.TestX 18s …",
		1:  "…",
		0:  "",
		-5: "",
	} {
		if diff := cmp.Diff(want, strings.Join(p.lines(now, width, 0), "")); diff != "" {
			t.Errorf("width %d: %s", width, diff)
		}
	}
}

func TestBoardParkedTests(t *testing.T) {
	var p progress
	p.follow(on(testEvent("run", "TestParked", ""), "gw0", "m/p", 0, 0, 2))
	p.follow(on(testEvent("pause", "TestParked", ""), "gw0", "m/p", 0, 0, 2))
	p.follow(on(testEvent("run", "TestOther", ""), "gw0", "m/p", 1, 0, 2))
	if got, want := strings.Join(p.lines(startOfClock.Add(4*time.Second), 80, 0), ""), "0/2 0% · gw0 m/p.TestOther 3s"; got != want {
		t.Errorf("parked: %q, want %q", got, want)
	}
	p.follow(on(testEvent("pass", "TestOther", ""), "gw0", "m/p", 4, 1, 2))
	p.follow(on(testEvent("cont", "TestParked", ""), "gw0", "m/p", 4, 1, 2))
	p.update(event.Estimate{Time: startOfClock.Add(4 * time.Second), Left: 6 * time.Second})
	if got, want := strings.Join(p.lines(startOfClock.Add(5*time.Second), 80, 0), ""), "1/2 50% · about 5s left · gw0 m/p.TestParked 1s"; got != want {
		t.Errorf("continued: %q, want %q", got, want)
	}
}

func TestBoardControlCharactersInNames(t *testing.T) {
	var p progress
	p.follow(on(testEvent("run", "TestX/\x1b[2J\n", ""), "gw0", "m/p", 0, 0, 2))
	if got, want := strings.Join(p.lines(startOfClock, 80, 0), ""), "0/2 0% · gw0 m/p.TestX/\ufffd[2J\ufffd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCursor(t *testing.T) {
	type position struct {
		Column int
		Known  bool
	}
	for text, want := range map[string]position{
		"":                         {0, true},
		"abc":                      {3, true},
		"abc\n":                    {0, true},
		"\x1b[31mabc\x1b[0m":       {3, true},
		"ab\tc":                    {9, true},
		"abc\rx":                   {1, true},
		"0123456789x":              {1, true},
		"0123456789":               {0, false},
		"日本":                       {0, false},
		"日本\nx":                    {1, true},
		"✖·":                       {2, true},
		"\x1b[5;5Hx":               {0, false},
		"cut in a sequence \x1b[3": {0, false},
	} {
		var c cursor
		for _, r := range text {
			c.advance(string(r)) // the same in one piece or many
		}
		var got position
		got.Column, got.Known = c.column(10)
		if got != want {
			t.Errorf("after %q: %+v, want %+v", text, got, want)
		}
	}
}

// Before the first test the status tells what is waited for: packages to be built, gateways to
// answer.
func TestStatusOfTheStart(t *testing.T) {
	at := func(s int) time.Time { return startOfClock.Add(time.Duration(s) * time.Second) }
	var p progress
	for _, e := range []event.Event{
		event.RunStarted{Time: at(0)},
		event.GatewayOpening{Time: at(0), Gateway: "gw0", Spec: "popen"},
		event.GatewayOpening{Time: at(1), Gateway: "gw1", Spec: "ssh=far"},
		event.GatewayUp{Gateway: "gw0", Hostname: "here"},
		event.Collected{Items: 40, Packages: 4},
		event.Built{Package: "m/p", Ready: true},
		event.BuildStep{Step: "compile m/p"},
		event.BuildStep{Step: "link \x1bq.test"},
	} {
		p.update(e)
	}
	if got, want := p.lines(at(12), 100, 0)[0], "0/40 0% · building 1/4 packages: link �q.test · connecting gw1 ssh=far 11s · 12s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for range 3 {
		p.update(event.Built{})
	}
	p.update(event.GatewayDown{Gateway: "gw1"})
	if got, want := p.lines(at(13), 100, 0)[0], "0/40 0% · 13s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What runs is told with how long it has and how long it should take, and tests that failed and
// then passed are counted.
func TestStatusOfWhatRuns(t *testing.T) {
	at := func(s int) time.Time { return startOfClock.Add(time.Duration(s) * time.Second) }
	var p progress
	tell := func(action, test string, again bool) event.Test {
		return event.Test{Event: test2json.Event{Action: action, Package: "m/p", Test: test}, Again: again, Total: 9}
	}
	for _, e := range []event.Event{
		event.RunStarted{Time: at(0)},
		event.Progress{Time: at(1), Gateway: "gw0", Action: "run", Package: "m/p", Test: "TestLong", Expected: 40*time.Second + 400*time.Millisecond},
		event.Progress{Time: at(2), Gateway: "gw1", Action: "run", Package: "m/p", Test: "TestNew"},
		tell("fail", "TestFlaky", true), tell("fail", "TestBad", true), tell("fail", "TestFlaky", true),
		tell("pass", "TestFlaky", false), tell("fail", "TestBad", false), tell("pass", "TestGood", false),
	} {
		p.update(e)
	}
	if got, want := p.lines(at(13), 100, 24), []string{"0/9 0% · 1 failed · 1 flaky · 13s", "  gw0  m/p.TestLong 12s of 40s", "  gw1  m/p.TestNew 11s"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is sent to hosts is told with its rate, and no more when nothing was heard of it for a
// while.
func TestStatusOfWhatIsSent(t *testing.T) {
	var p progress
	at := func(ms int) time.Time { return startOfClock.Add(time.Duration(ms) * time.Millisecond) }
	sent := func(ms int, host string, megabytes int64) {
		p.update(event.Sending{Time: at(ms), Hostname: host, Bytes: megabytes * 1e6})
	}
	for _, step := range []struct {
		do   func()
		at   int
		want string
	}{
		{func() { p.update(event.RunStarted{Time: at(0)}) }, 100, "collecting"},
		{func() { sent(500, "far", 1) }, 600, "collecting · sending 1.0 MB to far"},
		{func() { sent(1000, "far", 3) }, 1100, "collecting · sending 3.0 MB to far 4.0 MB/s · 1s"},
		{func() { sent(1000, "other", 2); sent(1500, "other", 3) }, 1600, "collecting · sending 6.0 MB to 2 hosts 6.0 MB/s · 1s"},
		{func() {}, 2100, "collecting · sending 3.0 MB to other 2.0 MB/s · 2s"},
		{func() {}, 3000, "collecting · 3s"},
		{func() { sent(9000, "far", 9) }, 9100, "collecting · sending 9.0 MB to far · 9s"},
		{func() { sent(9500, "far", 8) }, 9600, "collecting · sending 8.0 MB to far · 9s"},
	} {
		step.do()
		if got := p.lines(at(step.at), 100, 0)[0]; got != step.want {
			t.Errorf("after %d ms: got %q, want %q", step.at, got, step.want)
		}
	}
}

// On a screen whose height is known each gateway has a line; where they are more than a third of
// the screen has room for, each host has one.
func TestStatusTable(t *testing.T) {
	var p progress
	for i := range 12 {
		id := fmt.Sprintf("gw%d", i)
		p.update(event.GatewayUp{Gateway: id, Hostname: fmt.Sprintf("host%d", i/3)})
		p.update(event.UnitStarted{Gateway: id, Package: "m/p", Time: startOfClock.Add(time.Duration(i) * time.Second)})
	}
	now := startOfClock.Add(20 * time.Second)
	for _, tt := range []struct {
		height, lines int
		second, last  string
	}{
		{60, 13, "  gw0   m/p 20s", "  gw11  m/p 9s"},
		{15, 5, "  host0  3 gateways busy, longest m/p 20s", "  host3  3 gateways busy, longest m/p 11s"},
		{12, 4, "  host0  3 gateways busy, longest m/p 20s", "  +2 more hosts"},
		{5, 1, "", "0%"},
	} {
		got := p.lines(now, 80, tt.height)
		if len(got) != tt.lines || tt.lines > 1 && got[1] != tt.second || !strings.HasSuffix(got[len(got)-1], tt.last) && tt.lines > 1 {
			t.Errorf("height %d:\n%s", tt.height, strings.Join(got, "\n"))
		}
	}
}

// On a low screen a host is shown by what it has been at for longest, however few gateways it has.
func TestStatusTableOfFew(t *testing.T) {
	var p progress
	for i := range 4 {
		p.update(event.GatewayUp{Gateway: fmt.Sprintf("gw%d", i), Hostname: "host"})
		p.update(event.UnitStarted{Gateway: fmt.Sprintf("gw%d", i), Package: "m/p", Time: startOfClock.Add(time.Duration(9-i) * time.Second)})
	}
	got := p.lines(startOfClock.Add(20*time.Second), 80, 9)
	if want := "  host  4 gateways busy, longest m/p 14s"; len(got) != 2 || got[1] != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

// A status of several lines is drawn below the output and taken away whole, in the middle of a line
// too.
func TestStatusOfSeveralLines(t *testing.T) {
	term := newTerminal(t, 40)
	s := screen{out: term, err: term, width: term.columns}
	now := startOfClock
	show := func(status, want string) {
		t.Helper()
		now = now.Add(time.Second)
		s.show(status, now)
		if got := term.String(); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	}
	s.write("first\n", now)
	show("1/2\n  gw0  a\n  gw1  b", "first\n1/2\n  gw0  a\n  gw1  b")
	show("2/2\n  gw1  b", "first\n2/2\n  gw1  b")
	s.write("half", now)
	show("2/2\n  gw1  c\n  gw2  d", "first\nhalf\n2/2\n  gw1  c\n  gw2  d")
	now = now.Add(time.Second)
	s.write(" a line\nlast\n", now)
	show("2/2", "first\nhalf a line\nlast\n2/2")
	s.hide()
	if got := term.String(); got != "first\nhalf a line\nlast" {
		t.Errorf("at the end:\n%s", got)
	}
}

// A run shows that it has begun when it begins, and not only when its first tick comes.
func TestStatusIsThereAtOnce(t *testing.T) {
	v := newTerminal(t, 80)
	c := newConsole(t, ConsoleConfig{Out: v, Err: v, Width: func() int { return 80 }, Clock: Clock{Now: func() time.Time { return startOfClock }, Tick: func(time.Duration) (<-chan time.Time, func()) { return nil, func() {} }}})
	defer c.Close()
	if err := c.Handle(event.RunStarted{Time: startOfClock}); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(v.rows[0])); got != "collecting" {
		t.Errorf("the screen has %q", got)
	}
}

// What a text takes at most is told by its characters: those of East Asia are two cells wide, and
// signs that some terminals make wide.
func TestCells(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "TestX": 5, "naïve": 5, "Привет": 6, "αβγ": 3, "日本語": 6, "한국": 4, "ｆｕｌｌ": 8, "ሰላም": 3, "🎉": 2, "★": 2, "─": 2, "· ✓ …": 5, "e\u0301": 2,
	} {
		if got := cells(text); got != want {
			t.Errorf("%q takes %d cells, want %d", text, got, want)
		}
	}
	for text, known := range map[string]bool{"abc": true, "日本": false, "e\u0301": false, "\u200dx": false, "✓": true} {
		var c cursor
		c.advance(text)
		if _, got := c.column(80); got != known {
			t.Errorf("after %q the column is known: %v, want %v", text, got, known)
		}
	}
}

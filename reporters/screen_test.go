package reporters

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	draws int // status lines drawn
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

	// A test fails; the package's line scrolls above, and the status line comes back with it.
	l.handle(on(testEvent("fail", "TestA", ""), "gw0", "m/p", 2, 1, 10))
	l.clock.advance(2 * time.Second)
	l.shows("1/10 10% · 1 failed · about 27s left · gw0 m/p 3s · gw1 m/q 3s")
	l.clock.advance(10 * time.Millisecond)
	l.handle(on(testEvent("fail", "", ""), "gw0", "m/p", 4, 1, 10), event.UnitEnded{Gateway: "gw0", Package: "m/p"})
	l.shows("✖  m/p")
	l.clock.advance(time.Second)
	l.shows("✖  m/p", "1/10 10% · 1 failed · about 36s left · gw1 m/q 4s")

	// What goes to the error stream comes above it as well.
	l.clock.advance(time.Second)
	l.handle(event.Warning{Text: "gw1 is slow"})
	l.clock.advance(time.Second)
	l.shows("✖  m/p", "warning: gw1 is slow", "1/10 10% · 1 failed · about 54s left · gw1 m/q 6s")

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
	for i := range 14 {
		dot(1, fmt.Sprint("Test", i))
		l.clock.advance(200 * time.Millisecond)
	}
	// The line is full: no terminal agrees with the next on where the cursor is.
	l.shows("[m/p]···············")
	dot(1, "TestNext")
	l.clock.advance(200 * time.Millisecond)
	l.shows("[m/p]···············", "·", "1/50 2% · about 2m…")
	l.handle(event.Stderr{Text: "go: note\n"})
	l.shows("[m/p]···············", "·", "go: note", "1/50 2% · about 2m…")
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

// However many events come, the status line is drawn about ten times a second.
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
		if diff := cmp.Diff(want, p.line(now, width)); diff != "" {
			t.Errorf("width %d: %s", width, diff)
		}
	}
}

func TestBoardParkedTests(t *testing.T) {
	var p progress
	p.follow(on(testEvent("run", "TestParked", ""), "gw0", "m/p", 0, 0, 2))
	p.follow(on(testEvent("pause", "TestParked", ""), "gw0", "m/p", 0, 0, 2))
	p.follow(on(testEvent("run", "TestOther", ""), "gw0", "m/p", 1, 0, 2))
	if got, want := p.line(startOfClock.Add(4*time.Second), 80), "0/2 0% · gw0 m/p.TestOther 3s"; got != want {
		t.Errorf("parked: %q, want %q", got, want)
	}
	p.follow(on(testEvent("pass", "TestOther", ""), "gw0", "m/p", 4, 1, 2))
	p.follow(on(testEvent("cont", "TestParked", ""), "gw0", "m/p", 4, 1, 2))
	if got, want := p.line(startOfClock.Add(5*time.Second), 80), "1/2 50% · about 5s left · gw0 m/p.TestParked 1s"; got != want {
		t.Errorf("continued: %q, want %q", got, want)
	}
}

func TestBoardControlCharactersInNames(t *testing.T) {
	var p progress
	p.follow(on(testEvent("run", "TestX/\x1b[2J\n", ""), "gw0", "m/p", 0, 0, 2))
	if got, want := p.line(startOfClock, 80), "0/2 0% · gw0 m/p.TestX/\ufffd[2J\ufffd"; got != want {
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

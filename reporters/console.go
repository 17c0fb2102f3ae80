package reporters

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/fatih/color"
	"gotest.tools/gotestsum/testjson"

	"github.com/xdist-go/xdist/scheduler/event"
)

// Color says whether the console report has colours.
type Color int

// The choices of Color.
const (
	// ColorAuto leaves it to github.com/fatih/color: none where NO_COLOR is set, TERM is dumb, or
	// standard output is no terminal.
	ColorAuto Color = iota
	ColorNever
)

// Clock is where Console gets the time for its status line from. The zero value is the system's
// clock.
type Clock struct {
	Now func() time.Time
	// Tick returns a Go channel that gets a value every d, and what ends that.
	Tick func(d time.Duration) (tickc <-chan time.Time, stop func())
}

// ConsoleConfig says what Console writes and where. The zero value writes gotestsum's pkgname
// format to standard output, without a status line.
type ConsoleConfig struct {
	Out           io.Writer // the report; nil: os.Stdout
	Err           io.Writer // warnings and the go command's own messages; nil: os.Stderr
	Format        Format    // "": FormatPkgname
	Icons         string    // gotestsum's --format-icons; "": its default
	EmptyPackages EmptyPackages
	Color         Color
	Width         func() int // columns of Out's terminal, asked at each drawing; nil: it is none. See TerminalWidth
	Clock         Clock
}

// Console writes a run for people, in one of gotestsum's formats, with gotestsum's summary at the
// end.
//
// It owns the scan and, on a terminal, the goroutine that redraws the status line. Both end, and
// are waited for, in Handle of RunEnded or else in Close.
type Console struct {
	cfg     ConsoleConfig
	format  Format
	adapter adapter
	built   compilerText
	scan    *scan
	broken  error // what ended the scan before its time; nothing is put into it any more

	stopc chan struct{} // closed by end; nil without a status line
	tickc chan struct{} // closed by the redrawing goroutine as its last act

	scanned scanned

	mu       sync.Mutex // guards what follows
	progress progress
	screen   screen
}

// scanned is what the scanning goroutine uses while put waits for it, and put sets before.
type scanned struct {
	cur       event.Test // what the scan is about to see
	formatter testjson.EventFormatter
	text      bytes.Buffer // what formatter writes
	prefixer  prefixer
}

// NewConsole returns a Console for cfg and starts its goroutines; Close ends them. The writers stay
// the caller's. ColorNever holds for the whole process.
func NewConsole(cfg ConsoleConfig) (*Console, error) {
	format, err := cfg.Format.resolve(cfg.Width != nil)
	if err != nil {
		return nil, err
	}
	cfg.setDefaults()
	if cfg.Color == ColorNever {
		color.NoColor = true
	}
	c := &Console{cfg: cfg, format: format}
	c.screen = screen{out: cfg.Out, err: cfg.Err, width: cfg.Width}
	c.scanned.prefixer.format = format
	c.scanned.formatter = testjson.NewEventFormatter(&c.scanned.text, string(format), cfg.formatOptions())
	c.scan = startScan(scanHandler{c})
	if cfg.Width != nil {
		c.stopc, c.tickc = make(chan struct{}), make(chan struct{})
		go c.redraw()
	}
	return c, nil
}

func (c *ConsoleConfig) setDefaults() {
	if c.Out == nil {
		c.Out = os.Stdout
	}
	if c.Err == nil {
		c.Err = os.Stderr
	}
	if c.Clock.Now == nil {
		c.Clock.Now = time.Now
	}
	if c.Clock.Tick == nil {
		c.Clock.Tick = func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		}
	}
}

// Handle writes what e has to say before it returns. After a failed write it goes on as well as it
// can and returns the first error each time.
func (c *Console) Handle(e event.Event) error {
	c.locked(func() { c.progress.update(e) })
	switch e := e.(type) {
	case event.Test:
		c.test(e)
	case event.Stderr:
		c.complain(e.Text)
	case event.Warning:
		c.complain(color.YellowString("warning:") + " " + e.Text + "\n")
	case event.Listening:
		c.complain(listening(e) + "\n")
	case event.SlowTest:
		c.complain(slow(e, color.YellowString("SLOW")))
	case event.Suspected:
		if c.format.suspects(c.cfg.Width != nil) {
			c.complain(suspected(e, color.YellowString("suspected failure:")))
		}
	case event.GatewayDown:
		if e.Reason != "" {
			c.complain(fmt.Sprintf("%s gateway %s is down: %s\n", color.YellowString("warning:"), e.Gateway, e.Reason))
		}
	case event.RunEnded:
		c.end(&e.Summary)
	}
	return c.err()
}

// Close ends the goroutines, should RunEnded not have come, and returns the first error of the
// report.
func (c *Console) Close() error {
	c.end(nil)
	return c.err()
}

func (c *Console) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.screen.failed != nil {
		return c.screen.failed
	}
	return c.broken
}

func (c *Console) locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *Console) write(text string) {
	c.locked(func() { c.screen.write(text, c.cfg.Clock.Now()) })
}

func (c *Console) complain(text string) {
	c.locked(func() { c.screen.complain(text, c.cfg.Clock.Now()) })
}

// test brings one event to the formatter.
func (c *Console) test(t event.Test) {
	if c.scan == nil {
		panic("BUG: a Test event after RunEnded")
	}
	if lines := c.built.add(t.Event); lines != "" && c.broken == nil {
		c.broken = c.scan.putErr([]byte(lines))
	}
	f := c.adapter.add(t.Event)
	for _, e := range f.events {
		if c.broken != nil {
			return
		}
		c.scanned.cur = t
		line, err := scanText(e)
		if err == nil {
			err = c.scan.put(line)
		}
		c.broken = err
	}
	if f.excess != "" && c.format.streams(t.Test) {
		excess := testjson.TestEvent{Action: testjson.ActionOutput, Package: t.Package, Test: t.Test, Output: f.excess}
		c.write(c.scanned.prefixer.apply(f.excess, excess, t))
	}
}

// end writes the summary, unless there is none, and joins the goroutines. Only its first call does
// anything.
func (c *Console) end(summary *event.Summary) {
	if c.scan == nil {
		return
	}
	if c.stopc != nil {
		close(c.stopc)
		<-c.tickc
	}
	c.locked(c.screen.hide)
	c.scanned.cur = event.Test{}
	exec, err := c.scan.finish()
	c.scan = nil
	if c.broken == nil && err != nil {
		c.broken = err
	}
	if c.broken != nil {
		c.broken = fmt.Errorf("format console report: %w", c.broken)
	}
	if summary == nil {
		return
	}
	var text strings.Builder
	attempts := takeFlaky(exec, summary.Durations)
	text.WriteString(attempts)
	testjson.PrintSummary(&text, exec, testjson.SummarizeAll)
	text.WriteString(closing(*summary))
	c.write(text.String())
}

// redraw keeps the status line up to date until stopc is closed.
func (c *Console) redraw() {
	defer close(c.tickc)
	tickc, stop := c.cfg.Clock.Tick(redrawTick)
	defer stop()
	for {
		select {
		case <-c.stopc:
			return
		case <-tickc:
			c.locked(c.draw)
		}
	}
}

// draw must be called with mu held.
func (c *Console) draw() {
	now := c.cfg.Clock.Now()
	c.screen.show(c.progress.line(now, c.cfg.Width()-1), now)
}

// scanHandler gets what the scan has understood, in the scan's goroutine.
type scanHandler struct{ c *Console }

func (h scanHandler) Event(e testjson.TestEvent, exec *testjson.Execution) error {
	s := &h.c.scanned
	s.text.Reset()
	if err := s.formatter.Format(e, exec); err != nil {
		return err
	}
	h.c.write(s.prefixer.apply(s.text.String(), e, s.cur))
	return nil
}

// Err gets the compiler's lines.
func (h scanHandler) Err(line string) error {
	h.c.complain(line + "\n")
	return nil
}

var _ event.Reporter = (*Console)(nil)

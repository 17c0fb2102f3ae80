package reporters

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/fatih/color"

	"github.com/xdist-go/xdist/reporters/failure"
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
	ColorAlways
)

// Clock is where Console gets the time for its status from. The zero value is the system's
// clock.
type Clock struct {
	Now func() time.Time
	// Tick returns a Go channel that gets a value every d, and what ends that.
	Tick func(d time.Duration) (tickc <-chan time.Time, stop func())
}

// ConsoleConfig says what Console writes and where. The zero value writes xdist's own format to
// standard output, without a status.
type ConsoleConfig struct {
	Out           io.Writer // the report; nil: os.Stdout
	Err           io.Writer // warnings and the go command's own messages; nil: os.Stderr
	Format        Format    // "": FormatXdist
	Icons         string    // gotestsum's --format-icons; "": its default
	EmptyPackages EmptyPackages
	Color         Color
	Width         func() int // columns of Out's terminal, asked at each drawing; nil: it is none. See Terminal
	Height        func() int // its rows; nil: they are not known, and the status has one line
	Apart         bool       // Width and Height are those of Err's terminal, where the status is; Out is a file or a pipe
	Clock         Clock
	// Again is the command that repeats the tests which failed, and Reports are the files that
	// other reporters write: FormatXdist names them at the end.
	Again   string
	Reports []string
	// Fold puts the text of a failure below its title in FormatXdist, as the log of a CI service
	// folds it; nil: as it is.
	Fold func(title, text string) string
	// Text makes of what tests have printed what the log of a CI service takes for no command of
	// its own; nil: as it is. Fold does the same by itself.
	Text func(output string) string
	// Failures is what other reporters of the run ask too, and is handed each event before them;
	// nil: nobody does.
	Failures *failure.Watch
}

// Console writes a run for people, in xdist's own format or in one of gotestsum's.
//
// It owns the goroutine of gotestsum's formats and, on a terminal, the one that redraws the status
// line. Both end, and are waited for, in Handle of RunEnded or else in Close.
type Console struct {
	cfg    ConsoleConfig
	format Format
	style  style
	ended  bool

	sources failure.Sources // Learn with mu held, as draw asks for names

	stopc chan struct{} // closed by end; nil without a status
	tickc chan struct{} // closed by the redrawing goroutine as its last act

	mu       sync.Mutex // guards what follows
	progress progress
	screen   screen
	away     bool // the run is suspended: the terminal is somebody else's
}

// style is how a Console writes what becomes of tests. Its methods are called one at a time.
type style interface {
	// handle writes what an event has to say, if it has.
	handle(event.Event)
	// end ends what runs for the style and returns the text that closes the report: "" for a run
	// that did not come to its end, of which there is no event.
	end(*event.RunEnded) string
	// err is what keeps the style from being written.
	err() error
}

// NewConsole returns a Console for cfg and starts its goroutines; Close ends them. The writers stay
// the caller's. Color holds for the whole process.
func NewConsole(cfg ConsoleConfig) (*Console, error) {
	format, err := cfg.Format.resolve(cfg.Width != nil && !cfg.Apart)
	if err != nil {
		return nil, err
	}
	cfg.setDefaults()
	if cfg.Color != ColorAuto {
		color.NoColor = cfg.Color == ColorNever
	}
	c := &Console{cfg: cfg, format: format}
	c.progress.name = c.sources.Name
	c.screen = screen{out: cfg.Out, err: cfg.Err, width: cfg.Width, apart: cfg.Apart}
	if format == FormatXdist {
		c.style = newDigest(c)
	} else {
		c.style = newGotestsum(c)
	}
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
	if c.Fold == nil {
		c.Fold = func(title, text string) string { return title + "\n" + text }
	}
	if c.Text == nil {
		c.Text = func(output string) string { return output }
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
	c.locked(func() {
		c.sources.Learn(e)
		c.progress.update(e)
	})
	switch e := e.(type) {
	case event.RunStarted:
		if c.cfg.Width != nil {
			c.locked(c.draw) // at once: who has started a run wants to see that it began
		}
	case event.Test:
		if c.ended {
			panic("BUG: a Test event after RunEnded")
		}
	case event.Stderr:
		c.complain(e.Text)
	case event.Warning:
		c.complain(color.YellowString("warning:") + " " + e.Text + "\n")
	case event.Listening:
		c.complain(listening(e) + "\n")
	case event.SlowTest:
		c.complain(slow(e, color.YellowString("SLOW")))
	case event.Running:
		var head string
		c.locked(func() { head = c.progress.head(e.Time) })
		tell := c.complain
		if c.cfg.Width != nil && !c.cfg.Apart {
			tell = c.write // where the user looks
		}
		tell(c.cfg.Text(running(e, head, &c.sources)))
	case event.Suspended:
		c.locked(func() { c.away = true; c.screen.hide() })
	case event.Resumed:
		c.locked(func() { c.away = false })
	case event.Suspected:
		if c.format.suspects(c.cfg.Width != nil) {
			c.complain(c.cfg.Text(suspected(e, color.YellowString("suspected failure:"), &c.sources)))
		}
	case event.GatewayDown:
		if e.Reason != "" {
			c.complain(color.YellowString("warning:") + " " + down(e) + "\n")
		}
	case event.RunEnded:
		c.end(&e)
		return c.err()
	}
	c.style.handle(e)
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
	return c.style.err()
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

// end closes the report and joins the goroutines. Only its first call does anything.
func (c *Console) end(e *event.RunEnded) {
	if c.ended {
		return
	}
	c.ended = true
	if c.stopc != nil {
		close(c.stopc)
		<-c.tickc
	}
	c.locked(c.screen.hide)
	c.write(c.style.end(e))
}

// redraw keeps the status up to date until stopc is closed.
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
	if c.away {
		return
	}
	now := c.cfg.Clock.Now()
	height := 0
	if c.cfg.Height != nil {
		height = c.cfg.Height()
	}
	c.screen.show(strings.Join(c.progress.lines(now, c.cfg.Width()-1, height), "\n"), now)
}

var _ event.Reporter = (*Console)(nil)

package reporters

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"
)

const (
	// redrawGap is the shortest time between two drawings of the status: what changes faster
	// is not read.
	redrawGap = 100 * time.Millisecond
	// redrawTick is how often the status is looked at: a little more than redrawGap, as a tick
	// that comes a moment too early would wait for the next one.
	redrawTick = 110 * time.Millisecond
)

// screen writes the report, and on a terminal a status of one or more lines below it. It is not
// safe for concurrent use.
//
// The status is drawn with the cursor going back to where the output goes on, so that taking it
// away is one "erase to the end of the screen", also after the terminal became narrower and broke
// its lines into more rows.
type screen struct {
	out   io.Writer
	err   io.Writer
	width func() int // nil: no terminal, no status
	apart bool       // it is err's terminal

	status string    // what is to be shown, lines without a newline at the end; "" for nothing
	shown  bool      // status is on the screen
	drawn  time.Time // when that was last done
	cursor cursor
	failed error // the first failed write
}

// Terminal returns functions for ConsoleConfig.Width and Height that ask f's terminal for its size
// at each call, or nil where f is no terminal or TERM says that it cannot move its cursor.
func Terminal(f *os.File) (width, height func() int) {
	fd := int(f.Fd())
	if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
		return nil, nil
	}
	size := func() (int, int) {
		width, height, err := term.GetSize(fd)
		if err != nil {
			return 0, 0
		}
		return width, height
	}
	return func() int { width, _ := size(); return width }, func() int { _, height := size(); return height }
}

// write puts text after what has been written so far. The status comes back with it if its
// time has come.
func (s *screen) write(text string, now time.Time) {
	if text == "" {
		return
	}
	restore := ""
	erase := s.erase()
	if s.apart {
		// Where it is a pipe the text may come to the terminal, and the status back behind it.
		s.put(s.err, erase)
		s.put(s.out, text)
		s.cursor.advance(text)
		s.drawn = now
		return
	}
	if s.width != nil {
		s.cursor.advance(text)
		restore = s.drawing(now)
	}
	s.put(s.out, erase+text+restore)
}

// live is where the status is.
func (s *screen) live() io.Writer {
	if s.apart {
		return s.err
	}
	return s.out
}

// complain writes text to the error stream, which may be the same terminal.
func (s *screen) complain(text string, now time.Time) {
	if text == "" {
		return
	}
	s.put(s.live(), s.erase())
	if s.width != nil && s.cursor.midLine() {
		s.put(s.live(), "\n")
		s.cursor = cursor{}
	}
	s.put(s.err, text)
	if s.width != nil {
		s.cursor.advance(text)
		s.put(s.live(), s.drawing(now))
	}
}

// show makes status the status, on the screen at once or with a later call when the last
// drawing was just now.
func (s *screen) show(status string, now time.Time) {
	if s.shown && (status == s.status || now.Sub(s.drawn) < redrawGap) {
		return
	}
	erase := s.erase()
	s.status = status
	s.put(s.live(), erase+s.drawing(now))
}

// hide takes the status away for good, or until the next show.
func (s *screen) hide() {
	s.put(s.live(), s.erase())
	s.status = ""
}

func (s *screen) erase() string {
	if !s.shown {
		return ""
	}
	s.shown = false
	return "\x1b[J"
}

// drawing returns what draws the status, or "" when it is not to be drawn now.
func (s *screen) drawing(now time.Time) string {
	if s.status == "" || now.Sub(s.drawn) < redrawGap {
		return ""
	}
	width := s.width()
	column, known := s.cursor.column(width)
	lines := strings.Split(s.status, "\n")
	for i := range lines {
		lines[i] = cut(lines[i], width-1) // it may have been made for another width
	}
	if !known || lines[0] == "" {
		return ""
	}
	s.shown, s.drawn = true, now
	status, up := strings.Join(lines, "\n")+"\r", len(lines)-1
	if column == 0 {
		return status + cursorUp(up)
	}
	return fmt.Sprintf("\n%s%s\x1b[%dG", status, cursorUp(up+1), column+1)
}

// cursorUp moves the cursor so many rows up.
func cursorUp(rows int) string {
	switch rows {
	case 0:
		return ""
	case 1:
		return "\x1b[A"
	}
	return fmt.Sprintf("\x1b[%dA", rows)
}

func (s *screen) put(w io.Writer, text string) {
	if text == "" {
		return
	}
	if _, err := io.WriteString(w, text); err != nil && s.failed == nil {
		s.failed = fmt.Errorf("write console report: %w", err)
	}
}

// cursor follows the column in which the next character goes. The zero value is the start of a
// line.
type cursor struct {
	cells int  // characters since the start of the line, each one cell wide
	lost  bool // something was written whose width is not known here
	csi   csiState
}

type csiState int

const (
	csiNone csiState = iota
	csiEscape
	csiParameters
)

func (c *cursor) advance(text string) {
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		*c, text = cursor{}, text[i+1:]
	}
	for _, r := range text {
		switch {
		case c.csi == csiEscape:
			c.csi = csiNone
			if r == '[' {
				c.csi = csiParameters
			}
		case c.csi == csiParameters:
			if r >= '@' && r <= '~' {
				c.csi = csiNone
				// Colours, erasing, and showing the cursor do not move it.
				c.lost = c.lost || !strings.ContainsRune("mJKhl", r)
			}
		case r == '\x1b':
			c.csi = csiEscape
		case r == '\r':
			c.cells, c.lost = 0, false
		case r == '\t':
			c.cells += 8 - c.cells%8
		case r == '\b' || cellsOf(r) > 1 || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
			c.lost = true
		case r >= ' ' && r != 0x7f:
			c.cells++
		}
	}
}

func (c *cursor) midLine() bool { return c.cells > 0 || c.lost }

// column returns the column, from 0, on a terminal of that width. It is not known where a full line
// makes terminals differ in when they wrap.
func (c *cursor) column(width int) (column int, known bool) {
	switch {
	case c.lost || c.csi != csiNone || width <= 0:
		return 0, false
	case c.cells == 0:
		return 0, true
	}
	column = c.cells % width
	return column, column != 0
}

package reporters

import (
	"fmt"
	"strings"
)

// clip keeps a text whole up to a limit; of a longer one it keeps the first half of the limit,
// where a failure says what it is about, and the last, where a panic is, and says how much is left
// out between them.
type clip struct {
	limit int // bytes
	head  strings.Builder
	tail  []byte
	lost  int // bytes left out before tail
}

func newClip(limit int) *clip { return &clip{limit: limit} }

func (c *clip) add(text string) {
	half := c.limit / 2
	if room := half - c.head.Len(); room > 0 && c.lost == 0 && len(c.tail) == 0 {
		n := min(room, len(text))
		c.head.WriteString(text[:n])
		text = text[n:]
	}
	c.tail = append(c.tail, text...)
	// The tail grows to twice its size before it is cut, so that each byte moves at most once.
	if keep := c.limit - half; len(c.tail) > 2*keep {
		c.drop(len(c.tail) - keep)
	}
}

func (c *clip) drop(n int) {
	c.lost += n
	c.tail = append(c.tail[:0], c.tail[n:]...)
}

// String returns what is kept. Where the cut splits a character its bytes are invalid UTF-8.
func (c *clip) String() string {
	if c == nil {
		return ""
	}
	tail, lost := c.tail, c.lost
	if keep := c.limit - c.limit/2; len(tail) > keep {
		lost += len(tail) - keep
		tail = tail[len(tail)-keep:]
	}
	if lost == 0 {
		return c.head.String() + string(tail)
	}
	return fmt.Sprintf("%s\n[… %d bytes are left out here …]\n%s", c.head.String(), lost, tail)
}

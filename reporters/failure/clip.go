package failure

import (
	"fmt"
	"slices"
)

// Clip keeps a text whole up to a limit; of a longer one it keeps the first half of the limit,
// where a failure says what it is about, and the last, where a panic is, and says how much is left
// out between them.
type Clip struct {
	limit int   // bytes
	room  *Room // or nil
	head  []byte
	tail  []byte
	lost  int // bytes left out before tail
	name  int // bytes of its room that are for what it is of
}

// NewClip returns an empty Clip of so many bytes.
func NewClip(limit int) *Clip { return &Clip{limit: limit} }

// Room is how much Clips may keep together. Where it is full a Clip keeps the last 4 KiB all the
// same, as that is where a failure is, until all that is kept is twice the room. It is used by one
// goroutine at a time.
type Room struct {
	bytes int
	left  int // may be as little as -bytes
}

// NewRoom returns a Room of so many bytes.
func NewRoom(bytes int) *Room { return &Room{bytes, bytes} }

// NewClip returns an empty Clip of so many bytes, which is to be released.
func (r *Room) NewClip(limit int) *Clip { return &Clip{limit: limit, room: r} }

// Release gives the room back that a Clip has taken. What it keeps can still be read.
func (c *Clip) Release() {
	if c != nil && c.room != nil {
		c.room.left += c.size()
		c.room = nil
	}
}

func (c *Clip) size() int { return c.name + len(c.head) + len(c.tail) }

// of takes room for the name of what the Clip is of, if there is any.
func (c *Clip) of(name string) bool {
	const least = 250 // bytes of a Part
	if c.room.left < least+len(name) {
		return false
	}
	c.name = least + len(name)
	c.room.left -= c.name
	return true
}

// Add puts text at the end.
func (c *Clip) Add(text string) {
	before := c.size()
	c.add(text)
	if c.room == nil {
		return
	}
	grown := c.size() - before
	if beyond := grown - c.room.left; beyond > 0 {
		spare := max(0, len(c.tail)-clipReused)
		if c.room.left-grown+spare < -c.room.bytes {
			spare = len(c.tail)
		}
		c.drop(min(beyond, spare))
	}
	c.room.left -= c.size() - before
}

func (c *Clip) add(text string) {
	half := c.limit / 2
	fits := half - len(c.head)
	if c.room != nil {
		fits = min(fits, c.room.left)
	}
	if fits > 0 && c.lost == 0 && len(c.tail) == 0 {
		n := min(fits, len(text))
		c.head = append(c.head, text[:n]...)
		if text = text[n:]; text == "" {
			return
		}
	}
	c.tail = append(c.tail, text...)
	c.drop(max(0, len(c.tail)-(c.limit-half)))
}

// drop leaves out the start of the tail. The memory of a large one goes at once, that of a small
// one when the tail grows: a byte moves a few times at most.
func (c *Clip) drop(n int) {
	c.lost += n
	c.tail = c.tail[n:]
	if n > len(c.tail) {
		c.tail = slices.Clone(c.tail)
	}
}

// String returns what is kept. Where the cut splits a character its bytes are invalid UTF-8.
func (c *Clip) String() string {
	switch {
	case c == nil:
		return ""
	case c.lost == 0:
		return string(c.head) + string(c.tail)
	}
	return fmt.Sprintf("%s\n[… %d bytes are left out here …]\n%s", c.head, c.lost, c.tail)
}

// reset makes the Clip empty, with a part of the room. It keeps memory for a short text.
func (c *Clip) reset(in *Room) {
	c.Release()
	*c = Clip{limit: c.limit, room: in, head: c.head[:0]}
	if cap(c.head) > clipReused {
		c.head = nil
	}
}

// clipReused is the size in bytes up to which memory is used again, and which a full room does not
// take.
const clipReused = 4 << 10

package failure

import "fmt"

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

// Room is how much Clips may keep together. Where it is full, the beginning of what is added to one
// stays out.
type Room struct {
	left int // bytes
}

// NewRoom returns a Room of so many bytes.
func NewRoom(bytes int) *Room { return &Room{bytes} }

// NewClip returns an empty Clip of so many bytes, which is to be released.
func (r *Room) NewClip(limit int) *Clip { return &Clip{limit: limit, room: r} }

// Release gives the room back that a Clip has taken. What it keeps can still be read.
func (c *Clip) Release() {
	if c.room != nil {
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
	if beyond := c.size() - before - c.room.left; beyond > 0 {
		c.drop(min(beyond, len(c.tail)))
	}
	c.room.left -= c.size() - before
}

func (c *Clip) add(text string) {
	half := c.limit / 2
	room := half - len(c.head)
	if c.room != nil {
		room = min(room, c.room.left)
	}
	if room > 0 && c.lost == 0 && len(c.tail) == 0 {
		n := min(room, len(text))
		c.head = append(c.head, text[:n]...)
		if text = text[n:]; text == "" {
			return
		}
	}
	c.tail = append(c.tail, text...)
	// The tail grows to twice its size before it is cut, so that each byte moves at most once.
	if keep := c.limit - half; len(c.tail) > 2*keep {
		c.drop(len(c.tail) - keep)
	}
}

func (c *Clip) drop(n int) {
	c.lost += n
	c.tail = append(c.tail[:0], c.tail[n:]...)
}

// String returns what is kept. Where the cut splits a character its bytes are invalid UTF-8.
func (c *Clip) String() string {
	if c == nil {
		return ""
	}
	tail, lost := c.tail, c.lost
	if keep := c.limit - c.limit/2; len(tail) > keep {
		lost += len(tail) - keep
		tail = tail[len(tail)-keep:]
	}
	if lost == 0 {
		return string(c.head) + string(tail)
	}
	return fmt.Sprintf("%s\n[… %d bytes are left out here …]\n%s", c.head, lost, tail)
}

// reset makes the Clip empty, with a part of the room. It keeps memory for a short text.
func (c *Clip) reset(room *Room) {
	c.Release()
	*c = Clip{limit: c.limit, room: room, head: c.head[:0]}
	if cap(c.head) > clipReused {
		c.head = nil
	}
}

// clipReused is the size in bytes up to which memory is used again.
const clipReused = 4 << 10

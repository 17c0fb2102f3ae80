package rsync

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// FetchHandler is the name under which an agent has [Offer].
const FetchHandler = "rsync fetch"

type fetchArgs struct {
	Version  int      `cbor:"1,keyasint"`
	Dir      string   `cbor:"2,keyasint"`
	Patterns []string `cbor:"3,keyasint,omitempty"`
	Tree     bool     `cbor:"4,keyasint,omitempty"` // all that is there, with directories and links
}

const (
	namePacket packetKind = 'N' // entries, one behind the other, up to an endPacket
	dataPacket packetKind = 'D'
)

// Fetch brings back what others than a sync have written in a target: the files in dir on the
// gateway's host that match one of the patterns (as in [Source.Ignore]) and are not as the last
// sync left them, or all that match where none was. It puts them in the same places below dest,
// which is made when it is missing, and returns their paths, with slashes. A file that is there
// with the same content is left alone and not named.
//
// Only regular files come. In all else Fetch is [Pull] with a limit.
func Fetch(ctx context.Context, gw *gateway.Gateway, dir string, patterns []string, dest string, limit int64) ([]string, error) {
	r, err := pull(ctx, gw, fetchArgs{Dir: dir, Patterns: patterns}, dest, PullOptions{Limit: limit})
	return r.Changed, err
}

// matches reports whether something at this path is asked for.
func (a *fetchArgs) matches(wanted ignore, p string) bool {
	return a.Tree && len(wanted) == 0 || wanted.matches(p)
}

// catcher is the controller's side of a fetch.
type catcher struct {
	fetchArgs
	opts    PullOptions
	ch      line
	codec   *codec
	root    *os.Root
	wanted  ignore
	entries []entry
	parents string // directory that makeParents has looked at last
	changed []error
	report  PullReport
}

func (c *catcher) matches(p string) bool { return c.fetchArgs.matches(c.wanted, p) }

func (c *catcher) receive(ctx context.Context) (packetKind, []byte, error) {
	it, err := c.ch.ReceiveItem(ctx)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, nil, err
	}
	return c.codec.unpackItem(it)
}

// run does all from the list to the last link. Links come last, so that nothing goes through one
// that the agent has just named.
func (c *catcher) run(ctx context.Context) error {
	if err := c.list(ctx); err != nil {
		return err
	}
	if c.opts.Delete {
		if err := c.remove(ctx); err != nil {
			return err
		}
	}
	for i := range c.entries {
		if e := &c.entries[i]; e.kind == dirKind {
			if err := c.directory(e); err != nil {
				return err
			}
		}
	}
	if err := c.files(ctx); err != nil {
		return err
	}
	for i := range c.entries {
		if e := &c.entries[i]; e.kind == linkKind {
			if err := c.link(e, i); err != nil {
				return err
			}
		}
	}
	return errors.Join(c.changed...)
}

// list takes the list of what the host has.
func (c *catcher) list(ctx context.Context) error {
	total := 0
	for {
		k, body, err := c.receive(ctx)
		if err != nil {
			return err
		}
		if k == endPacket {
			return nil
		}
		if total += len(body); total > listAtMost {
			return fmt.Errorf("%w: the list of it alone has more than %d bytes", ErrFetchLimit, listAtMost)
		}
		if k != namePacket {
			return errBadPacket
		}
		if err := c.names(body); err != nil {
			return err
		}
	}
}

// names takes entries of the list, one at least. They come in order, and none is below a file or
// link.
func (c *catcher) names(body []byte) error {
	if len(body) == 0 {
		return errBadPacket
	}
	d := &decoder{b: body}
	for len(d.b) > 0 {
		e := d.entry()
		if d.err != nil || e.kind != fileKind && !c.Tree {
			return fmt.Errorf("%w: %w", errBadPacket, errors.Join(errGarbled, d.err))
		}
		if !c.matches(e.path) || inGit(e.path) {
			return fmt.Errorf("%w: %q was not asked for", errBadPacket, e.path)
		}
		if n := len(c.entries); n > 0 {
			before := &c.entries[n-1]
			if comparePaths(before.path, e.path) >= 0 || before.kind != dirKind && strings.HasPrefix(e.path, before.path+"/") {
				return fmt.Errorf("%w: %w: %q comes after %q", errBadPacket, errNoTree, e.path, before.path)
			}
		}
		if e.size > c.opts.Limit-c.report.Bytes || len(c.entries) == c.opts.Entries {
			return fmt.Errorf("%w: %q, number %d, has %d bytes, and %d may still come", ErrFetchLimit, clip(e.path), len(c.entries)+1, e.size, c.opts.Limit-c.report.Bytes)
		}
		c.report.Bytes += e.size
		c.report.Entries++
		c.entries = append(c.entries, e)
	}
	return nil
}

// files asks for the files that are not here, and takes them.
func (c *catcher) files(ctx context.Context) error {
	here := make([]bool, len(c.entries))
	var h hasher
	err := inParallel(ctx, lookers, len(c.entries), func(i int) error {
		here[i] = c.entries[i].kind != fileKind || c.has(&h, &c.entries[i])
		return nil
	})
	if err != nil {
		return err
	}
	var wants []int
	var b []byte
	for i := range here {
		if !here[i] {
			wants = append(wants, i)
			b = binary.AppendUvarint(b, uint64(i))
		}
	}
	for part := range chunksOf(b, pieceSize) {
		if err := c.ch.Send(ctx, c.codec.pack(requestPacket, part)); err != nil {
			return c.cause(ctx, err)
		}
	}
	if err := c.ch.Send(ctx, c.codec.pack(endPacket, nil)); err != nil {
		return c.cause(ctx, err)
	}
	for _, i := range wants {
		if err := c.file(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// cause returns why the agent takes no more, which it has said.
func (c *catcher) cause(ctx context.Context, err error) error {
	if !errors.Is(err, gateway.ErrClosed) {
		return err
	}
	return errors.Join(c.ch.WaitClose(ctx), err)
}

// inGit reports whether a path is in a directory in which Git keeps what it runs and trusts.
func inGit(path string) bool {
	for name := range strings.SplitSeq(path, "/") {
		if strings.EqualFold(name, ".git") {
			return true
		}
	}
	return false
}

// file writes one file.
func (c *catcher) file(ctx context.Context, i int) error {
	e := &c.entries[i]
	if err := c.makeParents(e.path); err != nil {
		return err
	}
	temp := path.Join(path.Dir(e.path), tempName(e.sum, i))
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	perm := goMode(e.mode).Perm()
	f, err := c.root.OpenFile(temp, flags, perm|0o200)
	if errors.Is(err, fs.ErrExist) { // left by a fetch that was killed
		if err = c.root.Remove(temp); err == nil {
			f, err = c.root.OpenFile(temp, flags, perm|0o200)
		}
	}
	if err != nil {
		return err
	}
	ft, err := c.content(ctx, f, e)
	if info, statErr := f.Stat(); err == nil {
		if err = statErr; err == nil { // what it was made with is what the umask leaves
			err = f.Chmod(perm & info.Mode().Perm())
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil && ft == sentFate {
		if err = c.root.Rename(temp, e.path); err == nil {
			c.report.Changed = append(c.report.Changed, e.path)
			return nil
		}
	}
	if ft == changedFate {
		c.changed = append(c.changed, fmt.Errorf("%q is written to while it is sent", e.path))
	}
	return errors.Join(err, c.root.Remove(temp))
}

// realDir is where a directory of the destination is, below that and after all links, with slashes.
func (c *catcher) realDir(dir string) (string, error) {
	base, err := filepath.EvalSymlinks(c.root.Name())
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(filepath.Join(base, filepath.FromSlash(dir)))
	if err != nil {
		return "", err
	}
	real, err = filepath.Rel(base, real)
	return filepath.ToSlash(real), err
}

// content writes what comes up to the end of a file, and is not more than was announced.
func (c *catcher) content(ctx context.Context, w io.Writer, e *entry) (fate, error) {
	var h hasher
	in := &packets{ctx: ctx, c: c, room: e.size}
	size, s, err := h.file(io.TeeReader(in, w))
	if err == nil && in.fate == sentFate && (s != e.sum || size != e.size) {
		err = fmt.Errorf("%q: %w", e.path, errGarbled)
	}
	return in.fate, err
}

// packets reads the data packets of one file. It carries its ctx because io.Reader has no place for
// one.
type packets struct {
	ctx  context.Context
	c    *catcher
	room int64 // bytes that may still come
	rest []byte
	fate fate // at the end, if that tells one
}

func (p *packets) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		k, body, err := p.c.receive(p.ctx)
		switch {
		case err != nil:
			return 0, err
		case k == endPacket && len(body) == 0:
			return 0, io.EOF
		case k == endPacket && len(body) == 1 && fate(body[0]) <= changedFate:
			p.fate = fate(body[0])
			return 0, io.EOF
		case k != dataPacket, len(body) == 0, int64(len(body)) > p.room:
			return 0, errBadPacket
		}
		p.room -= int64(len(body))
		p.rest = body
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// has reports whether the file is there already, with this content.
func (c *catcher) has(h *hasher, e *entry) bool {
	info, err := c.root.Lstat(e.path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != e.size {
		return false
	}
	f, err := ownfile.OpenIn(c.root, e.path)
	if err != nil {
		return false
	}
	defer f.Close()
	_, s, err := h.file(f)
	return err == nil && s == e.sum
}

package rsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/xdist-go/xdist/gateway"
)

// FetchHandler is the name under which an agent has [Offer].
const FetchHandler = "rsync fetch"

const (
	// FetchLimit is how many bytes one Fetch takes when its caller has no limit.
	FetchLimit = 1 << 30
	// fetchFiles bounds the files of one Fetch.
	fetchFiles = 100_000
)

// ErrFetchLimit says that a host has more to give than a Fetch may take.
var ErrFetchLimit = errors.New("there is more than may be fetched")

type fetchArgs struct {
	Version  int      `cbor:"1,keyasint"`
	Dir      string   `cbor:"2,keyasint"`
	Patterns []string `cbor:"3,keyasint"`
}

const (
	namePacket packetKind = 'N' // the entry of a file that comes next, in dataPackets, up to an endPacket
	dataPacket packetKind = 'D'
)

// Fetch brings back what others than a sync have written in a target: the files in dir on the
// gateway's host that match one of the patterns (as in [Source.Ignore]) and are not as the last
// sync left them, or all that match where none was. It puts them in the same places below dest,
// which is made when it is missing, and returns their paths, with slashes. A file that is there
// with the same content is left alone and not named.
//
// Only regular files come. Nothing is written outside of dest, whatever the agent says and whatever
// links dest has, and nothing in a directory of Git's. Permissions are kept but for those that the
// umask denies, and the bits that give a file its owner's rights. No lock is taken: a target that a
// sync is changing meanwhile gives a mixture.
//
// limit is how many bytes of files may come, 0 means [FetchLimit], and there are at most 100,000
// files. Beyond that Fetch fails with ErrFetchLimit, and what has come stays.
func Fetch(ctx context.Context, gw *gateway.Gateway, dir string, patterns []string, dest string, limit int64) ([]string, error) {
	paths, err := fetch(ctx, gw, dir, patterns, dest, cmp.Or(limit, FetchLimit))
	if err != nil {
		return paths, fmt.Errorf("fetch files from %s on gateway %s: %w", dir, gw, err)
	}
	return paths, nil
}

func fetch(ctx context.Context, gw *gateway.Gateway, dir string, patterns []string, dest string, limit int64) ([]string, error) {
	wanted, err := newIgnore(patterns)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dest, 0o777); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dest)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	ch, err := gw.RemoteExec(ctx, FetchHandler, fetchArgs{Version: version, Dir: dir, Patterns: patterns})
	if err != nil {
		return nil, err
	}
	defer ch.Close() // never fails for a channel of our own
	c := &catcher{ch: ch, codec: newCodec(), root: root, wanted: wanted, room: limit}
	defer c.codec.close()
	for {
		more, err := c.next(ctx)
		if err != nil || !more {
			return c.paths, err
		}
	}
}

// catcher is the controller's side of a fetch.
type catcher struct {
	ch     *gateway.Channel
	codec  *codec
	root   *os.Root
	wanted ignore
	room   int64 // bytes that may still come
	files  int   // that have come
	paths  []string
}

func (c *catcher) receive(ctx context.Context) (packetKind, []byte, error) {
	it, err := c.ch.ReceiveItem(ctx)
	if err != nil {
		return 0, nil, err
	}
	return c.codec.unpackItem(it)
}

// next takes one file, or the end.
func (c *catcher) next(ctx context.Context) (more bool, err error) {
	k, body, err := c.receive(ctx)
	if err != nil {
		return false, err
	}
	if k == endPacket {
		return false, nil
	}
	d := &decoder{b: body}
	e := d.entry()
	if k != namePacket || d.err != nil || e.kind != fileKind {
		return false, fmt.Errorf("%w: %w", errBadPacket, errors.Join(errGarbled, d.err))
	}
	if !c.wanted.matches(e.path) || inGit(e.path) {
		return false, fmt.Errorf("%w: %q was not asked for", errBadPacket, e.path)
	}
	c.files++
	if e.size > c.room || c.files > fetchFiles {
		return false, fmt.Errorf("%w: file %d, %q, has %d bytes, and %d may still come", ErrFetchLimit, c.files, clip(e.path), e.size, c.room)
	}
	c.room -= e.size
	return true, c.file(ctx, &e)
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
func (c *catcher) file(ctx context.Context, e *entry) error {
	if err := c.root.MkdirAll(path.Dir(e.path), 0o777); err != nil {
		return err
	}
	if real, err := c.realDir(path.Dir(e.path)); err != nil || inGit(real) {
		return errors.Join(err, fmt.Errorf("%q leads into a directory of Git's", e.path))
	}
	temp := path.Join(path.Dir(e.path), tempName(e.sum, len(c.paths)))
	f, err := c.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, goMode(e.mode).Perm()|0o200)
	if err != nil {
		return err
	}
	size, s, err := c.content(ctx, f, e.size)
	if err == nil && (s != e.sum || size != e.size) {
		err = fmt.Errorf("%q: %w", e.path, errGarbled)
	}
	if info, statErr := f.Stat(); err == nil {
		if err = statErr; err == nil { // what it was made with is what the umask leaves
			err = f.Chmod(goMode(e.mode).Perm() & info.Mode().Perm())
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	same := false
	if err == nil {
		if same = c.has(e); !same {
			err = c.root.Rename(temp, e.path)
		}
	}
	if err != nil || same {
		return errors.Join(err, c.root.Remove(temp))
	}
	c.paths = append(c.paths, e.path)
	return nil
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
func (c *catcher) content(ctx context.Context, w io.Writer, announced int64) (int64, sum, error) {
	var h hasher
	r := io.TeeReader(&packets{ctx: ctx, c: c, room: announced}, w)
	return h.file(r)
}

// packets reads the data packets of one file. It carries its ctx because io.Reader has no place for
// one.
type packets struct {
	ctx  context.Context
	c    *catcher
	room int64 // bytes that may still come
	rest []byte
}

func (p *packets) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		k, body, err := p.c.receive(p.ctx)
		switch {
		case errors.Is(err, io.EOF):
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		case k == endPacket:
			return 0, io.EOF
		case k != dataPacket, int64(len(body)) > p.room:
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
func (c *catcher) has(e *entry) bool {
	info, err := c.root.Lstat(e.path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != e.size {
		return false
	}
	f, err := c.root.Open(e.path)
	if err != nil {
		return false
	}
	defer f.Close()
	var h hasher
	_, s, err := h.file(f)
	return err == nil && s == e.sum
}

// Offer is the agent's side of [Fetch], to be registered under [FetchHandler].
func Offer(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
	var a fetchArgs
	if err := args.Decode(&a); err != nil {
		return err
	}
	if a.Version != version {
		return fmt.Errorf("offer files: controller speaks version %d, this agent %d", a.Version, version)
	}
	patterns, err := newIgnore(a.Patterns)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(a.Dir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	o := &offerer{ch: ch, codec: newCodec(), root: root, memory: loadMemory(sideOf(dir))}
	defer o.codec.close()
	all, err := walkTree(ctx, root, nil, false)
	if err != nil {
		return err
	}
	at := 0
	for i := range all {
		var known *record
		known, at = o.memory.recall(all[i].path, at)
		if all[i].kind != fileKind || !patterns.matches(all[i].path) || inGit(all[i].path) || checkPath(all[i].path) != nil {
			continue
		}
		if err := o.offer(ctx, &all[i], known); err != nil {
			return err
		}
	}
	return ch.Send(ctx, o.codec.pack(endPacket, nil))
}

// offerer is the agent's side of a fetch.
type offerer struct {
	ch     *gateway.Channel
	codec  *codec
	root   *os.Root
	memory *memory
}

// offer sends a file if it is not as the sync has left it. A file that cannot be read twice alike
// is still being written, and an error.
func (o *offerer) offer(ctx context.Context, f *found, known *record) error {
	if known != nil && known.kind == fileKind && known.intact(f.stat) {
		return nil
	}
	file, err := o.root.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	var h hasher
	e := entry{path: f.path, kind: fileKind, mode: f.stat.mode, mtime: f.stat.mtime}
	if e.size, e.sum, err = h.file(file); err != nil {
		return err
	}
	if known != nil && known.kind == fileKind && known.sum == e.sum {
		return nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := o.ch.Send(ctx, o.codec.pack(namePacket, e.append(nil))); err != nil {
		return err
	}
	return o.content(ctx, io.LimitReader(file, e.size))
}

func (o *offerer) content(ctx context.Context, r io.Reader) error {
	buf := make([]byte, pieceSize)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := o.ch.Send(ctx, o.codec.pack(dataPacket, buf[:n])); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return o.ch.Send(ctx, o.codec.pack(endPacket, nil))
		}
		if err != nil {
			return err
		}
	}
}

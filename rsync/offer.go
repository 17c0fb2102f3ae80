package rsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// Offer is the agent's side of [Fetch] and [Pull], to be registered under [FetchHandler].
func Offer(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
	var a fetchArgs
	if err := args.Decode(&a); err != nil {
		return err
	}
	if a.Version != version {
		return fmt.Errorf("offer files: controller speaks version %d, this agent %d", a.Version, version)
	}
	o, err := newOfferer(ch, a)
	if err != nil {
		return err
	}
	defer o.root.Close()
	defer o.codec.close()
	if err := o.list(ctx); err != nil {
		return err
	}
	wants, err := o.requests(ctx)
	if err != nil {
		return err
	}
	for _, i := range wants {
		if err := o.send(ctx, &o.entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// offerer is the agent's side of a fetch.
type offerer struct {
	fetchArgs
	ch       *gateway.Channel
	codec    *codec
	dir      string // absolute
	root     *os.Root
	patterns ignore
	memory   *memory
	entries  []entry // that were offered
}

func newOfferer(ch *gateway.Channel, a fetchArgs) (*offerer, error) {
	o := &offerer{fetchArgs: a, ch: ch}
	var err error
	if o.patterns, err = newIgnore(a.Patterns); err != nil {
		return nil, err
	}
	if o.dir, err = filepath.Abs(a.Dir); err != nil {
		return nil, err
	}
	if o.root, err = os.OpenRoot(o.dir); err != nil {
		return nil, err
	}
	o.memory, o.codec = loadMemory(sideOf(o.dir)), newCodec()
	return o, nil
}

// list finds out what there is to offer, and sends the list.
func (o *offerer) list(ctx context.Context) error {
	all, err := walkTree(ctx, o.root, func(p string, k kind) bool {
		return inGit(p) || k == dirKind && len(o.patterns) > 0 && !o.patterns.leads(p)
	}, false)
	if err != nil {
		return err
	}
	known := make([]*record, len(all))
	at := 0
	for i := range all {
		known[i], at = o.memory.recall(all[i].path, at)
	}
	entries := make([]entry, len(all)) // of no kind: not to be offered
	var h hasher
	err = inParallel(ctx, lookers, len(all), func(i int) (err error) {
		if o.matches(o.patterns, all[i].path) && checkPath(all[i].path) == nil {
			entries[i], err = o.entry(&h, &all[i], known[i])
		}
		return err
	})
	if err != nil {
		return err
	}
	var b []byte
	for i := range entries {
		if entries[i].kind == 0 {
			continue
		}
		o.entries = append(o.entries, entries[i])
		b = entries[i].append(b)
		if len(b) >= pieceSize {
			if err := o.ch.Send(ctx, o.codec.pack(namePacket, b)); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if len(b) > 0 {
		if err := o.ch.Send(ctx, o.codec.pack(namePacket, b)); err != nil {
			return err
		}
	}
	return o.ch.Send(ctx, o.codec.pack(endPacket, nil))
}

// entry returns what is offered, of no kind when it is not.
func (o *offerer) entry(h *hasher, f *found, known *record) (entry, error) {
	e := entry{path: f.path, kind: f.kind, mode: f.stat.mode}
	switch {
	case f.kind == fileKind:
		e.mtime = f.stat.mtime
		return o.file(h, e, f.stat, known)
	case !o.Tree || f.kind == oddKind:
		return entry{}, nil
	case f.kind == linkKind:
		target, err := o.root.Readlink(f.path)
		if gone(err) {
			return entry{}, nil
		}
		e.link = filepath.ToSlash(target)
		if rel, relErr := filepath.Rel(o.dir, target); filepath.IsAbs(target) && relErr == nil && filepath.IsLocal(rel) {
			e.link, e.rebase = filepath.ToSlash(rel), true
		}
		if err == nil && e.check() != nil {
			return entry{}, nil
		}
		return e, err
	}
	return e, nil
}

// file returns the entry of a file, of no kind when it is as the sync has left it and only others
// are wanted.
func (o *offerer) file(h *hasher, e entry, stat fileStat, known *record) (entry, error) {
	if known != nil && known.kind == fileKind && known.intact(stat) {
		if !o.Tree {
			return entry{}, nil
		}
		e.size, e.sum = known.size, known.sum
		return e, nil
	}
	f, err := ownfile.OpenIn(o.root, e.path)
	if gone(err) {
		return entry{}, nil
	}
	if err != nil {
		return entry{}, err
	}
	defer f.Close()
	if e.size, e.sum, err = h.file(f); err != nil {
		return entry{}, err
	}
	if !o.Tree && known != nil && known.kind == fileKind && known.sum == e.sum {
		return entry{}, nil
	}
	return e, nil
}

// requests takes the files that are wanted.
func (o *offerer) requests(ctx context.Context) ([]int, error) {
	var wants []int
	for {
		it, err := o.ch.ReceiveItem(ctx)
		if err != nil {
			return nil, err
		}
		k, body, err := o.codec.unpackItem(it)
		if err != nil || k == endPacket {
			return wants, err
		}
		if k != requestPacket {
			return nil, errBadPacket
		}
		d := &decoder{b: body}
		for len(d.b) > 0 {
			i := d.count(len(o.entries) - 1)
			if d.err != nil || o.entries[i].kind != fileKind || len(wants) == len(o.entries) {
				return nil, fmt.Errorf("%w: a file that was not offered", errBadPacket)
			}
			wants = append(wants, i)
		}
	}
}

// send sends a file, and tells whether it is as it was offered.
func (o *offerer) send(ctx context.Context, e *entry) error {
	f, err := ownfile.OpenIn(o.root, e.path)
	if gone(err) {
		return o.ch.Send(ctx, o.codec.pack(endPacket, []byte{byte(goneFate)}))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var h hasher
	size, s, err := h.file(io.TeeReader(io.LimitReader(f, e.size), dataWriter{ctx, line{Channel: o.ch}, o.codec}))
	if err != nil {
		return err
	}
	ft := sentFate
	if size != e.size || s != e.sum {
		ft = changedFate
	} else if n, err := f.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		ft = changedFate
	}
	return o.ch.Send(ctx, o.codec.pack(endPacket, []byte{byte(ft)}))
}

// dataWriter sends what is written to it as data. It carries its ctx because io.Writer has no place
// for one.
type dataWriter struct {
	ctx   context.Context
	ch    line
	codec *codec
}

func (w dataWriter) Write(p []byte) (int, error) {
	return len(p), w.ch.Send(w.ctx, w.codec.pack(dataPacket, p))
}

// chunksOf returns b in parts that end between numbers, of about size bytes.
func chunksOf(b []byte, size int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			for n < len(b) && b[n-1]&0x80 != 0 { // within an LEB128 number
				n++
			}
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

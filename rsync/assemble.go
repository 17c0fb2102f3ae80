package rsync

import (
	"context"
	"fmt"
	"hash"
	"io"
	"os"
	"path"

	"github.com/xdist-go/xdist/internal/diskspace"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// assembly is a file that comes in pieces. It is written under a temporary name, which tells its
// content, so that it can be gone on with after an interruption.
type assembly struct {
	*transfer
	index  int
	dir    *os.Root
	temp   string // in dir
	f      *os.File
	size   int64     // what is in f
	hash   hash.Hash // of what is in f; nil for a file that comes whole, which the packets' own sums cover
	base   *os.File  // the old file, for a delta
	signed signed
	kind   *int // of tally
}

// pieces puts files together, one after the other.
func (t *transfer) pieces(ctx context.Context) error {
	dirs := newFolders(t.job)
	defer dirs.close()
	var a *assembly
	defer func() {
		if a != nil {
			a.close() // what has come stays for the next sync
		}
	}()
	var buf []byte
	for b := range t.piecec {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, body, err := t.codec.unpackTo(buf, b)
		if err != nil {
			return err
		}
		buf = roomier(buf, body)
		d := &decoder{b: body}
		flag, i := d.byte(), d.count(len(t.due))
		if d.err != nil {
			return fmt.Errorf("%w: %w", errBadPacket, d.err)
		}
		if a == nil || a.index != i {
			if a != nil {
				return fmt.Errorf("%w: a file without an end", errBadPacket)
			}
			if a, err = t.assemble(dirs, i); err != nil {
				return err
			}
		}
		if err := a.add(flag, d.b); err != nil {
			return fmt.Errorf("write %s: %w", t.want.entries[i].path, err)
		}
		if flag == pieceEnd {
			a = nil
		}
	}
	return nil
}

// assemble begins a file, or goes on with one.
func (t *transfer) assemble(dirs *folders, i int) (*assembly, error) {
	if err := t.accept(i); err != nil {
		return nil, err
	}
	e := &t.want.entries[i]
	dir, err := dirs.get(path.Dir(e.path)).open()
	if err != nil {
		return nil, err
	}
	a := &assembly{transfer: t, index: i, dir: dir, temp: tempName(e.sum, i)}
	t.mu.Lock()
	a.signed = t.signed[i]
	t.mu.Unlock()
	if err := a.open(); err != nil {
		a.close()
		return nil, fmt.Errorf("write %s: %w", e.path, err)
	}
	return a, nil
}

func (a *assembly) open() (err error) {
	e := &a.want.entries[a.index]
	if p := a.part(); p != nil {
		a.hash = newHash()
		a.kind = &a.tally.Resumed
		return a.resume(p)
	}
	if a.signed.block > 0 {
		a.hash = newHash()
		a.kind = &a.tally.Patched
		if a.base, err = ownfile.OpenIn(a.root, e.path); err != nil {
			return err
		}
	}
	a.f, err = a.create(a.dir, a.temp, e)
	return err
}

// part is what has arrived of the file in an earlier sync.
func (a *assembly) part() *partial {
	for n := range a.wants { // rare, so that a search does
		if a.wants[n].index == a.index {
			return a.wants[n].part
		}
	}
	return nil
}

// resume opens the part and moves to its end.
func (a *assembly) resume(p *partial) (err error) {
	to := path.Join(path.Dir(a.want.entries[a.index].path), a.temp)
	if p.path != to {
		if err := a.root.Rename(p.path, to); err != nil {
			return err
		}
	}
	if a.f, err = a.dir.OpenFile(a.temp, os.O_RDWR, 0); err != nil {
		return err
	}
	a.size, err = io.Copy(a.hash, io.LimitReader(a.f, p.size))
	if err == nil && a.size != p.size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (a *assembly) close() {
	for _, f := range []*os.File{a.f, a.base} {
		if f != nil {
			f.Close()
		}
	}
}

// Write appends to the file.
func (a *assembly) Write(p []byte) (int, error) {
	if int64(len(p)) > a.want.entries[a.index].size-a.size {
		return 0, fmt.Errorf("%w: more than the file's size", errBadPacket)
	}
	n, err := a.f.Write(p)
	a.size += int64(n)
	if a.hash != nil {
		a.hash.Write(p[:n]) // never fails
	}
	return n, err
}

// add takes one piece. What is written already stays when it fails, unless the disk is full.
func (a *assembly) add(flag byte, body []byte) (err error) {
	e := &a.want.entries[a.index]
	switch {
	case flag == pieceData && a.signed.block == 0:
		_, err = a.Write(body)
	case flag == pieceDelta && a.base != nil:
		_, err = patch(a, a.base, a.signed.size, a.signed.block, body, e.size-a.size)
	case flag == pieceEnd && len(body) == 1:
		return a.end(fate(body[0]))
	default:
		err = errBadPacket
	}
	if err != nil && diskspace.IsFull(err) {
		a.drop()
	}
	return err
}

// end installs a file that has come right, and drops one that has not.
func (a *assembly) end(ft fate) error {
	defer a.close()
	e := &a.want.entries[a.index]
	if ft != sentFate {
		a.drop()
		return nil
	}
	if a.size != e.size || a.hash != nil && sum(a.hash.Sum(nil)) != e.sum {
		a.drop()
		a.count(func(n *tally) { n.Failed++ })
		return nil
	}
	if a.base != nil {
		a.base.Close() // Windows replaces no open file
	}
	if err := a.install(a.dir, a.f, a.temp, a.index); err != nil {
		a.drop()
		return err
	}
	a.count(func(n *tally) {
		n.Files++
		if a.kind != nil {
			*a.kind++
		}
	})
	return nil
}

// drop removes what has come.
func (a *assembly) drop() {
	a.f.Close()
	a.dir.Remove(a.temp) // a rest is removed by the next sync
}

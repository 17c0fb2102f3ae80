package rsync

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// transfer gets the files that are wanted. It owns one goroutine that asks for them, one that puts
// files together from pieces, and some that write small files; the caller's receives. All have
// ended when it returns.
type transfer struct {
	*job
	due    []atomic.Bool // of want's entries: asked for, and nothing has come yet
	filesc chan []byte   // packets of small files; closed by take
	piecec chan []byte   // packets of pieces; closed by take

	mu     sync.Mutex     // guards the fields below, and job's tally
	signed map[int]signed // what was asked for as a delta
}

// signed is the old file that a delta is made from.
type signed struct {
	size  int64
	block int
}

func (j *job) transfer(ctx context.Context) error {
	t := &transfer{job: j, due: make([]atomic.Bool, len(j.want.entries)), signed: make(map[int]signed),
		filesc: make(chan []byte), piecec: make(chan []byte)}
	for _, w := range j.wants {
		t.due[w.index].Store(true)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	start := func(f func(context.Context) error) {
		wait.Go(func() {
			if err := f(ctx); err != nil {
				cancel(err)
			}
		})
	}
	start(t.ask)
	start(t.pieces)
	for range min(4, runtime.GOMAXPROCS(0)) { // making files takes processor time; several hosts on one machine share it
		start(t.files)
	}
	if err := t.take(ctx); err != nil {
		cancel(err)
	}
	wait.Wait()
	return context.Cause(ctx)
}

// ask sends the requests.
func (t *transfer) ask(ctx context.Context) error {
	const full = 32 << 10 // bytes
	var b []byte
	for n := range t.wants {
		b = t.appendRequest(b, &t.wants[n])
		if len(b) >= full {
			if err := t.ch.Send(ctx, t.codec.pack(requestPacket, b)); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if len(b) > 0 {
		if err := t.ch.Send(ctx, t.codec.pack(requestPacket, b)); err != nil {
			return err
		}
	}
	return t.ch.Send(ctx, t.codec.pack(endPacket, nil))
}

// appendRequest decides how to ask for a file. An old file that cannot be read is of no use.
func (t *transfer) appendRequest(b []byte, w *want) []byte {
	e := &t.want.entries[w.index]
	var offset int64
	switch {
	case w.part != nil:
		offset = w.part.size
	case w.base && !t.whole && e.size >= deltaAtLeast && t.old[w.index].stat.size >= deltaAtLeast:
		if s, err := t.sign(w.index); err == nil {
			b = binary.AppendUvarint(append(b, deltaRequest), uint64(w.index))
			return s.append(b)
		}
	}
	b = binary.AppendUvarint(append(b, wholeRequest), uint64(w.index))
	return binary.AppendUvarint(b, uint64(offset))
}

func (t *transfer) sign(i int) (*signature, error) {
	f, err := ownfile.OpenIn(t.root, t.want.entries[i].path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s, err := sign(f, info.Size())
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.signed[i] = signed{s.size, s.block}
	return s, nil
}

// take receives packets until the last, and hands them on.
func (t *transfer) take(ctx context.Context) error {
	defer close(t.filesc)
	defer close(t.piecec)
	for {
		it, err := t.ch.ReceiveItem(ctx)
		if err != nil {
			return err
		}
		b, err := it.Bytes()
		if err != nil || len(b) < packetHead {
			return errBadPacket
		}
		var to chan<- []byte
		switch packetKind(b[0]) {
		case filesPacket:
			to = t.filesc
		case piecePacket:
			to = t.piecec
		case endPacket:
			return nil
		default:
			return errBadPacket
		}
		select {
		case to <- b:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// accept checks that a file is due.
func (t *transfer) accept(i int) error {
	if i >= len(t.due) || !t.due[i].CompareAndSwap(true, false) {
		return fmt.Errorf("%w: a file that was not asked for", errBadPacket)
	}
	return nil
}

// files writes small files.
func (t *transfer) files(ctx context.Context) error {
	dirs := newFolders(t.job)
	defer dirs.close()
	var buf []byte
	for b := range t.filesc {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, body, err := t.codec.unpackTo(buf, b)
		if err != nil {
			return err
		}
		buf = roomier(buf, body)
		if err := t.writeFiles(dirs, body); err != nil {
			return err
		}
	}
	return nil
}

// roomier returns the one that has more room for the next packet.
func roomier(a, b []byte) []byte {
	if cap(b) > cap(a) {
		return b
	}
	return a
}

func (t *transfer) writeFiles(dirs *folders, body []byte) error {
	files, err := decodeFiles(body, t.want.entries)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := t.accept(f.index); err != nil {
			return err
		}
		if f.fate != sentFate {
			continue
		}
		if err := t.writeFile(dirs, f.index, f.data); err != nil {
			return fmt.Errorf("write %s: %w", t.want.entries[f.index].path, err)
		}
	}
	return nil
}

// smallContent is a complete file from a packet.
type smallContent struct {
	index int
	fate  fate
	data  []byte // empty if the fate is another than sentFate
}

// decodeFiles reads a packet of small files. The contents share memory with it, and have the sizes
// that entries say.
func decodeFiles(body []byte, entries []entry) ([]smallContent, error) {
	d := &decoder{b: body}
	files := make([]smallContent, d.count(batchAtMost))
	sizes := make([]int, len(files))
	for n := range files {
		files[n].index = d.count(len(entries))
		files[n].fate = fate(d.byte())
		sizes[n] = d.count(smallFile)
	}
	for n := range files {
		f := &files[n]
		f.data = d.take(sizes[n])
		if d.err == nil && (f.index == len(entries) || f.fate == sentFate && int64(sizes[n]) != entries[f.index].size) {
			d.fail(errGarbled)
		}
	}
	if len(d.b) > 0 {
		d.fail(errGarbled)
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", errBadPacket, d.err)
	}
	return files, nil
}

// writeFile makes a small file, in the quick way if that works. The other one knows what to do
// about what is in the way, and what is wrong.
func (t *transfer) writeFile(dirs *folders, i int, data []byte) error {
	e := &t.want.entries[i]
	dir := dirs.get(path.Dir(e.path))
	temp := tempName(e.sum, i)
	if stat, err := dir.put(temp, e, t.old[i] == nil, data); err == nil {
		t.place[i] = record{entry: *e}
		t.place[i].refresh(stat, time.Now())
	} else if err := t.writeInRoot(dir, temp, i, data); err != nil {
		return err
	}
	t.count(func(n *tally) { n.Files++ })
	return nil
}

// writeInRoot is the way of files that come in pieces.
func (t *transfer) writeInRoot(d *folder, temp string, i int, data []byte) error {
	dir, err := d.open()
	if err != nil {
		return err
	}
	f, err := t.create(dir, temp, &t.want.entries[i])
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = t.install(dir, f, temp, i)
	} else {
		f.Close()
	}
	if err != nil {
		dir.Remove(temp) // the first error says what is wrong
	}
	return err
}

func (t *transfer) count(f func(*tally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.tally)
}

// create makes a new temporary file, in the place of one that was left behind.
func (t *transfer) create(dir *os.Root, temp string, e *entry) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	perm := goMode(e.mode).Perm() | 0o200
	f, err := dir.OpenFile(temp, flags, perm)
	if errors.Is(err, fs.ErrExist) {
		if err = dir.RemoveAll(temp); err == nil {
			f, err = dir.OpenFile(temp, flags, perm)
		}
	}
	if errors.Is(err, fs.ErrPermission) && t.makeWritable(e) {
		f, err = dir.OpenFile(temp, flags, perm)
	}
	return f, err
}

// makeWritable is unlock for writers.
func (t *transfer) makeWritable(e *entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unlock(path.Dir(e.path), e.path)
}

// install gives a complete temporary file its mode, time and name, and records it. It closes f.
func (t *transfer) install(dir *os.Root, f *os.File, temp string, i int) error {
	e := &t.want.entries[i]
	name := path.Base(e.path)
	err := f.Chmod(goMode(e.mode))
	if e := f.Close(); err == nil {
		err = e
	}
	mtime := time.Unix(0, e.mtime)
	if err == nil {
		err = dir.Chtimes(temp, mtime, mtime)
	}
	if err == nil {
		err = dir.Rename(temp, name)
		if errors.Is(err, fs.ErrPermission) && t.makeWritable(e) {
			err = dir.Rename(temp, name)
		}
	}
	if err != nil {
		return err
	}
	info, err := dir.Lstat(name)
	if err != nil {
		return err
	}
	t.place[i] = record{entry: *e}
	t.place[i].refresh(statOf(info), time.Now())
	return nil
}

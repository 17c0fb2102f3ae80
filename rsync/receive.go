package rsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/diskspace"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// Receive is the agent's side of a target, to be registered under [Handler]. It makes a directory
// what the controller says, and writes nowhere else but in that and in the directory beside it that
// has its lock and its memory. It holds the lock until it returns.
func Receive(ctx context.Context, ch *gateway.Channel, args gateway.Item) error {
	var a openArgs
	if err := args.Decode(&a); err != nil {
		return err
	}
	if a.Version != version {
		return fmt.Errorf("receive files: controller speaks version %d, this agent %d", a.Version, version)
	}
	r := &receiver{openArgs: a, ch: ch, codec: newCodec()}
	defer r.codec.close()
	err := r.open(ctx)
	defer r.close()
	if errors.Is(err, ErrBusy) {
		return ch.Send(ctx, answer{Busy: true})
	}
	if err != nil {
		return fmt.Errorf("receive files in %s: %w", a.Dir, err)
	}
	r.lookAhead(ctx)
	for {
		var b begin
		if err := ch.Receive(ctx, &b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := r.round(ctx, b); err != nil {
			if diskspace.IsFull(err) {
				err = fmt.Errorf("the disk is full: %w", err)
			}
			return fmt.Errorf("receive files in %s: %w", r.dir, err)
		}
	}
}

// receiver is one run of the handler. Only its own goroutine uses it, except as is said.
type receiver struct {
	openArgs
	ch    *gateway.Channel
	codec *codec

	dir  string       // absolute
	side string       // the directory beside it
	lock *flock.Flock // held
	root *os.Root     // of dir

	looking sync.WaitGroup // for looked and lookErr
	looked  *sight
	lookErr error
}

// sight is what a receiver has, found out before it knows what is wanted.
type sight struct {
	memory   *memory
	manifest *manifest // of the memory
	found    []found
	at       time.Time // when the look began
}

const (
	lockFile   = "lock"
	memoryFile = "memory"
	// memoryLimit bounds what is read of a memory, or of an index, in bytes: that of a million
	// files has some 100 MB.
	memoryLimit = 1 << 30
)

func (r *receiver) open(ctx context.Context) (err error) {
	if r.dir, err = filepath.Abs(r.Dir); err != nil {
		return err
	}
	if filepath.Base(r.dir) == string(filepath.Separator) || filepath.Dir(r.dir) == r.dir {
		return errors.New("a target needs a name")
	}
	r.side = sideOf(r.dir)
	if err := os.MkdirAll(r.side, 0o777); err != nil {
		return err
	}
	if r.lock, err = lock(ctx, filepath.Join(r.side, lockFile), time.Duration(r.Wait)*time.Millisecond); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o777); err != nil {
		return err
	}
	r.root, err = os.OpenRoot(r.dir)
	return err
}

func (r *receiver) close() {
	r.looking.Wait()
	if r.root != nil {
		r.root.Close()
	}
	if r.lock != nil {
		r.lock.Close()
	}
}

// lookAhead begins to look at what there is. See takes the result.
func (r *receiver) lookAhead(ctx context.Context) {
	r.looked = nil
	r.looking.Go(func() { r.looked, r.lookErr = r.look(ctx) })
}

// see returns what lookAhead has found, or looks now. What it returns is for one round.
func (r *receiver) see(ctx context.Context) (*sight, error) {
	r.looking.Wait()
	s, err := r.looked, r.lookErr
	r.looked, r.lookErr = nil, nil
	if s == nil && err == nil {
		s, err = r.look(ctx)
	}
	return s, err
}

func (r *receiver) look(ctx context.Context) (*sight, error) {
	s := &sight{at: time.Now()}
	remembered := make(chan struct{}) // closed when s.memory and s.manifest are set
	go func() {                       // joined below
		defer close(remembered)
		s.memory = loadMemory(r.side)
		s.manifest = newManifest(s.memory.entries())
	}()
	var err error
	s.found, err = walkTree(ctx, r.root, nil, true)
	<-remembered
	return s, err
}

// sideOf is the directory beside a target that has its lock and its memory.
func sideOf(dir string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+SideSuffix)
}

// loadMemory returns what is remembered of a target: nothing when that cannot be read.
func loadMemory(side string) *memory {
	b, err := ownfile.Read(filepath.Join(side, memoryFile), memoryLimit)
	if err != nil {
		return new(memory)
	}
	m, err := decodeMemory(b)
	if err != nil || checkTree(m.entries()) != nil {
		return new(memory)
	}
	return m
}

// round makes the directory what b says and tells what was done.
func (r *receiver) round(ctx context.Context, b begin) error {
	s, err := r.see(ctx)
	if err != nil {
		return err
	}
	known := string(b.Digest) == string(s.manifest.digest[:])
	m := s.manifest
	if !known {
		if err := r.ch.Send(ctx, answer{Have: s.manifest.sums()}); err != nil {
			return err
		}
		if m, err = r.receiveManifest(ctx, s.manifest, b); err != nil {
			return err
		}
	}
	j := newJob(r, s, m, b.Whole)
	if err := j.compare(ctx); err != nil {
		return err
	}
	if known && len(j.wants) == 0 {
		if err := j.finish(); err != nil {
			return err
		}
		return r.ch.Send(ctx, answer{Known: true, Report: &j.tally})
	}
	if known {
		if err := r.ch.Send(ctx, answer{Known: true}); err != nil {
			return err
		}
	}
	if err := j.transfer(ctx); err != nil {
		return errors.Join(err, j.save()) // so that the next sync knows what has come
	}
	if err := j.finish(); err != nil {
		return err
	}
	return r.ch.Send(ctx, j.tally)
}

// sums are the digests of the chunks, one behind the other.
func (m *manifest) sums() []byte {
	var b []byte
	for _, c := range m.chunks {
		b = append(b, c.sum[:]...)
	}
	return b
}

// receiveManifest puts the new manifest together from what comes and what the old one has.
func (r *receiver) receiveManifest(ctx context.Context, old *manifest, b begin) (*manifest, error) {
	if b.Entries < 0 || b.Entries > entriesAtMost {
		return nil, fmt.Errorf("read manifest: %d entries", b.Entries)
	}
	chunks := make(map[sum]chunk, len(old.chunks))
	for _, c := range old.chunks {
		chunks[c.sum] = c
	}
	var entries []entry
	for {
		it, err := r.ch.ReceiveItem(ctx)
		if err != nil {
			return nil, err
		}
		k, body, err := r.codec.unpackItem(it)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		if k == endPacket {
			break
		}
		if k != chunksPacket {
			return nil, fmt.Errorf("read manifest: %w", errGarbled)
		}
		if entries, err = appendChunks(entries, body, old, chunks); err != nil {
			return nil, err
		}
		if len(entries) > b.Entries {
			return nil, fmt.Errorf("read manifest: more than %d entries", b.Entries)
		}
	}
	m := newManifest(entries)
	if string(m.digest[:]) != string(b.Digest) {
		return nil, fmt.Errorf("read manifest: %w", errGarbled)
	}
	return m, checkTree(entries)
}

// appendChunks reads parts of a manifest.
func appendChunks(entries []entry, body []byte, old *manifest, chunks map[sum]chunk) ([]entry, error) {
	d := &decoder{b: body}
	for len(d.b) > 0 && d.err == nil {
		if n := d.count(packetAtMost); n > 0 {
			more, err := decodeEntries(d.take(n))
			if err != nil {
				return nil, err
			}
			entries = append(entries, more...)
			continue
		}
		c, ok := chunks[d.sum()]
		if !ok {
			d.fail(errGarbled)
			break
		}
		entries = append(entries, old.entries[c.start:c.end]...)
	}
	if d.err != nil {
		return nil, fmt.Errorf("read manifest: %w", d.err)
	}
	return entries, nil
}

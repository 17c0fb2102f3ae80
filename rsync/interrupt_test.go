package rsync

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"testing"
	"time"
)

// noise is content that zstd cannot make smaller, always the same for a seed.
func noise(seed uint64, size int) string {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, seed))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// TestDelta changes large files in their midst, and wants little to be sent.
func TestDelta(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	gw := open(t)
	old := noise(1, 3<<20)
	src.write("large", old)
	sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{})
	for name, content := range map[string]string{
		"a byte changed": old[:1<<20] + "!" + old[1<<20+1:],
		"inserted":       old[:1000] + "some bytes" + old[1000:],
		"cut":            old[:100_000] + old[200_000:],
		"appended":       old + "more",
		"moved":          old[1<<20:] + old[:1<<20],
		"truncated":      old[:2<<20+77],
	} {
		src.write("large", content)
		r := sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{})
		if r.Patched != 1 || r.Sent > 300_000 {
			t.Errorf("%s: %+v", name, r)
		}
		same(t, src, dst)
		src.write("large", old)
		sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{})
		same(t, src, dst)
	}
}

// begun is a sync that was stopped when a part of a large file had arrived.
func begun(t *testing.T, src, dst place, size int64) *sender {
	t.Helper()
	sd := &sender{Target: &Target{gw: open(t), dir: dst.dir}, codec: newCodec()}
	t.Cleanup(sd.codec.close)
	sd.open(t.Context())
	img, err := Source{Root: src.dir}.scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := sd.playManifest(t.Context(), img.manifest); err != nil {
		t.Fatal(err)
	}
	c := &content{img: img}
	enough := errors.New("enough")
	sent := int64(0)
	_, err = c.large(t.Context(), sd.codec, 0, 0, func(p []byte) error {
		if sent >= size {
			return enough
		}
		sent += pieceSize
		return sd.send(t.Context(), p)
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	await(t, func() bool {
		info, err := os.Stat(dst.path(tempName(img.entries[0].sum, 0)))
		return err == nil && info.Size() == sent
	})
	return sd
}

// await waits for something that another process does.
func await(t *testing.T, done func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	late := time.After(20 * time.Second)
	for !done() {
		select {
		case <-look.C:
		case <-late:
			t.Fatal("it does not happen")
		}
	}
}

// TestResume interrupts a transfer in three ways, and wants the next sync to send only what is
// missing and to leave nothing behind.
func TestResume(t *testing.T) {
	for name, stop := range map[string]func(*sender) error{
		"receiver killed": func(sd *sender) error {
			p, err := os.FindProcess(sd.gw.Info().Pid)
			return errors.Join(err, p.Kill())
		},
		"sender left":    func(sd *sender) error { return sd.ch.Close() },
		"gateway closed": func(sd *sender) error { sd.gw.Exit(); return nil },
	} {
		for _, moved := range []bool{false, true} {
			src, dst := newPlace(t), newPlace(t)
			src.write("large", noise(2, 4<<20))
			sd := begun(t, src, dst, 3<<20)
			if err := stop(sd); err != nil {
				t.Fatal(err)
			}
			if moved {
				src.do(os.Mkdir(src.path("dir"), 0o755))
				src.do(os.Rename(src.path("large"), src.path("dir/moved")))
			}
			r := sendOne(t, Source{Root: src.dir}, open(t), dst.dir, TargetOptions{})
			if r.Resumed != 1 || r.Sent > 2<<20 {
				t.Errorf("%s: %+v", name, r)
			}
			same(t, src, dst)
		}
	}
}

// TestStalePart has a part of a file that the source no longer has, and one whose content is not
// what its name says.
func TestStalePart(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	content := noise(3, 1<<20)
	src.write("dir/large", content)
	img, err := Source{Root: src.dir}.scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dst.write(path.Join("dir", tempName(img.entries[1].sum, 7)), strings.Repeat("x", 1000))
	dst.write(tempName(sum{1}, 0), "of another file")
	sendOne(t, Source{Root: src.dir}, open(t), dst.dir, TargetOptions{})
	same(t, src, dst)
}

// TestHold shows that a held target is another's only after its release, and that waiting can be
// given up.
func TestHold(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	src.write("file", "content")
	gw1, gw2 := open(t), open(t)
	first := New(Source{Root: src.dir})
	held := first.AddTarget(gw1, dst.dir, TargetOptions{Hold: true})
	send(t, first)
	for _, wait := range []time.Duration{-1, 20 * time.Millisecond} {
		s := New(Source{Root: src.dir})
		s.AddTarget(gw2, dst.dir, TargetOptions{Wait: wait})
		if _, err := s.Send(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("wait %v: %v", wait, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s := New(Source{Root: src.dir})
	s.AddTarget(gw2, dst.dir, TargetOptions{})
	if _, err := s.Send(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: %v", err)
	}
	for range 2 {
		if err := held.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	sendOne(t, Source{Root: src.dir}, gw2, dst.dir, TargetOptions{Wait: 10 * time.Second})
	same(t, src, dst)
}

// TestTwoSyncs has two controllers send different trees to one directory at the same time, again
// and again: the result is always one of the two.
func TestTwoSyncs(t *testing.T) {
	dst := newPlace(t)
	var sources [2]place
	for i := range sources {
		sources[i] = newPlace(t)
		for _, name := range []string{"a", "b/c", "large"} {
			sources[i].write(name, noise(uint64(i), 1000*len(name)*len(name)))
		}
	}
	for range 5 {
		errc := make(chan error)
		for _, src := range sources {
			s := New(Source{Root: src.dir})
			s.AddTarget(open(t), dst.dir, TargetOptions{})
			go func() {
				_, err := s.Send(t.Context())
				errc <- err
			}()
		}
		for range sources {
			if err := <-errc; err != nil {
				t.Error(err)
			}
		}
		if got := dst.lines(); got != sources[0].lines() && got != sources[1].lines() {
			t.Errorf("a mixture:\n%s", got)
		}
	}
}

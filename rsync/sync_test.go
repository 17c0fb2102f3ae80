package rsync

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestContentFollows is conformance case 83: shorter and longer content, two targets, also when
// times at the destination were reset.
func TestContentFollows(t *testing.T) {
	src, one, two := newPlace(t), newPlace(t), newPlace(t)
	cache := t.TempDir()
	gw1, gw2 := open(t), open(t)
	for _, content := range []string{"content", "a bit more content", "less", ""} {
		src.write("dir/file", content)
		src.write("dir/large", strings.Repeat(content, 20_000))
		s := New(Source{Root: src.dir, Cache: cache})
		s.AddTarget(gw1, one.dir, TargetOptions{})
		s.AddTarget(gw2, two.dir, TargetOptions{})
		if r := send(t, s); r.Targets[0].Files == 0 || r.Targets[0].Unchanged() {
			t.Errorf("%+v", r)
		}
		same(t, src, one)
		same(t, src, two)
		one.do(os.Chtimes(one.path("dir/file"), time.Unix(0, 0), time.Unix(0, 0)))
	}
}

// TestSameSizeEdit is the other half of case 83: an edit that leaves size and time as they were, on
// either side.
func TestSameSizeEdit(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	cache := t.TempDir()
	gw := open(t)
	when := time.Unix(1_600_000_000, 123_456_789)
	for i, content := range []string{"aaaa", "bbbb", "cccc", "dddd"} {
		src.write("file", content)
		src.do(os.Chtimes(src.path("file"), when, when))
		if r := sendOne(t, Source{Root: src.dir, Cache: cache}, gw, dst.dir, TargetOptions{}); r.Files != 1 {
			t.Errorf("sync %d: %+v", i, r)
		}
		same(t, src, dst)
		dst.write("file", "xxxx")
		dst.do(os.Chtimes(dst.path("file"), when, when))
	}
	sendOne(t, Source{Root: src.dir, Cache: cache}, gw, dst.dir, TargetOptions{})
	same(t, src, dst)
}

// TestNoTarget is case 82.
func TestNoTarget(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	src.write("file", "content")
	s := New(Source{Root: src.dir})
	if _, err := s.Send(t.Context()); !errors.Is(err, ErrNoTarget) {
		t.Errorf("first: %v", err)
	}
	gw := open(t)
	for range 2 {
		s.AddTarget(gw, dst.dir, TargetOptions{})
		send(t, s)
		same(t, src, dst)
		if _, err := s.Send(t.Context()); !errors.Is(err, ErrNoTarget) {
			t.Errorf("after a sync: %v", err)
		}
	}
}

// TestRemoved is case 84: what the source has no more stays by default and goes with Delete; what
// tests leave goes with Clean.
func TestRemoved(t *testing.T) {
	for _, c := range []struct {
		opts             TargetOptions
		old, left, child bool
	}{
		{TargetOptions{}, true, true, true},
		{TargetOptions{Delete: true}, false, true, true},
		{TargetOptions{Clean: true}, true, false, false},
		{TargetOptions{Delete: true, Clean: true}, false, false, false},
	} {
		src, dst := newPlace(t), newPlace(t)
		gw := open(t)
		for _, name := range []string{"stays", "old", "dir/old", "dir2/old"} {
			src.write(name, name)
		}
		sendOne(t, Source{Root: src.dir}, gw, dst.dir, c.opts)
		for _, name := range []string{"old", "dir", "dir2"} {
			src.do(os.RemoveAll(src.path(name)))
		}
		dst.write("left/by/test", "x")
		dst.write("dir2/left", "x")
		for range 2 { // what is kept is still known as such the second time
			sendOne(t, Source{Root: src.dir}, gw, dst.dir, c.opts)
			for name, want := range map[string]bool{"stays": true, "old": c.old, "dir/old": c.old, "dir": c.old, "dir2/old": c.old,
				"left/by/test": c.left, "left": c.left, "dir2/left": c.child} {
				if dst.exists(name) != want {
					t.Errorf("%+v: %s: %v", c.opts, name, !want)
				}
			}
		}
	}
}

// TestKinds replaces each kind of entry by each other.
func TestKinds(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	gw := open(t)
	makers := []func(){
		func() { src.write("x", "file") },
		func() { src.write("x/in/it", "file") },
		func() { src.do(os.Symlink("nowhere", src.path("x"))) },
		func() { src.do(os.Mkdir(src.path("x"), 0o755)) },
	}
	src.write("other", "x")
	for i := range makers {
		for j := range makers {
			for _, n := range []int{i, j} {
				src.do(os.RemoveAll(src.path("x")))
				makers[n]()
				sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{Delete: true})
				same(t, src, dst)
			}
		}
	}
}

// TestModes is case 85: exactly the modes of the source, also when only they change.
func TestModes(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("skipped: Windows has no modes")
	}
	src, dst := newPlace(t), newPlace(t)
	gw := open(t)
	src.write("dir/file", "content")
	src.write("script", "#!/bin/sh")
	src.write("locked/file", "content")
	for i, modes := range [][2]os.FileMode{{0o770, 0o500}, {0o700, 0o555}, {0o4755, 0o777 | os.ModeSticky}, {0o666, 0o2775}, {0o400, 0o700}} {
		src.do(os.Chmod(src.path("script"), goMode(uint32(modes[0]))))
		src.do(os.Chmod(src.path("dir"), modes[1]))
		src.do(os.Chmod(src.path("locked"), 0o755))
		src.write("locked/file", strings.Repeat("x", i))
		src.do(os.Chmod(src.path("locked"), 0o555))
		r := sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{})
		if i > 0 && (r.Files != 1 || r.Touched < 2) {
			t.Errorf("sync %d: %+v", i, r)
		}
		same(t, src, dst)
		if r := sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{}); !r.Unchanged() {
			t.Errorf("sync %d again: %+v", i, r)
		}
	}
}

// TestLinks is case 87.
func TestLinks(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	gw := open(t)
	src.write("sub/existent", "content")
	for link, target := range map[string]string{
		"sub/relative": "existent", "up": "sub/../sub/existent", "absolute": src.path("sub/existent"), "root": src.dir,
		"dangling": "not/there", "outside": "/etc/passwd", "dirlink": "sub", "above": "../../..",
	} {
		src.do(os.Symlink(target, src.path(link)))
	}
	for range 2 {
		sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{})
		for link, want := range map[string]string{
			"sub/relative": "existent", "up": "sub/../sub/existent", "absolute": dst.path("sub/existent"), "root": dst.dir,
			"dangling": "not/there", "outside": "/etc/passwd", "dirlink": "sub", "above": "../../..",
		} {
			if got, err := os.Readlink(dst.path(link)); got != want || err != nil {
				t.Errorf("%s leads to %q, want %q: %v", link, got, want, err)
			}
		}
		src.do(os.Remove(src.path("sub/existent")))
		src.write("sub/existent", "other content")
	}
	if r := sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{}); r.Unchanged() {
		t.Errorf("the last change was not sent: %+v", r)
	}
	if r := sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{}); !r.Unchanged() {
		t.Errorf("%+v", r)
	}
}

// TestLinksAtTarget has tests replace directories and files of the target by links that lead out of
// it: nothing is written there.
func TestLinksAtTarget(t *testing.T) {
	src, dst, outside := newPlace(t), newPlace(t), newPlace(t)
	gw := open(t)
	src.write("dir/file", "content")
	src.write("file", "content")
	sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{})
	outside.write("file", "outside")
	before := outside.lines()
	dst.do(os.RemoveAll(dst.path("dir")))
	dst.do(os.Symlink(outside.dir, dst.path("dir")))
	dst.do(os.Remove(dst.path("file")))
	dst.do(os.Symlink(outside.path("file"), dst.path("file")))
	src.write("file", "new content")
	sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{Delete: true, Clean: true})
	same(t, src, dst)
	if after := outside.lines(); after != before {
		t.Errorf("outside:\n%s", after)
	}
}

// TestIgnore is case 93, with patterns that have slashes besides.
func TestIgnore(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	for _, name := range []string{"dir/file.txt", "dir/.svn/text", ".somedotfile", "dir/editfile~", "a/only/here", "b/only/here", "dir/.hidden"} {
		src.write(name, name)
	}
	sendOne(t, Source{Root: src.dir, Ignore: []string{".*", "*~", "a/only"}}, open(t), dst.dir, TargetOptions{})
	for name, want := range map[string]bool{"dir/file.txt": true, "dir/.svn": false, ".somedotfile": false, "dir/editfile~": false,
		"a/only": false, "a": true, "b/only/here": true, "dir/.hidden": false} {
		if dst.exists(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if _, err := New(Source{Root: src.dir, Ignore: []string{"[x"}}).source.scan(t.Context()); err == nil || !strings.Contains(err.Error(), `"[x"`) {
		t.Errorf("a bad pattern: %v", err)
	}
}

// TestSecondRun is case 90, and shows that an unchanged tree costs one answer: nothing at all is
// sent after the digest.
func TestSecondRun(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	cache := t.TempDir()
	for _, name := range []string{"a", "b/c", "b/d/e"} {
		src.write(name, name)
	}
	src.do(os.MkdirAll(src.path("empty/inner"), 0o755))
	gw := open(t)
	if r := sendOne(t, Source{Root: src.dir, Cache: cache}, gw, dst.dir, TargetOptions{}); r.Files != 3 || r.Sent == 0 {
		t.Errorf("first: %+v", r)
	}
	same(t, src, dst)
	for i := range 3 {
		if r := sendOne(t, Source{Root: src.dir, Cache: cache}, gw, dst.dir, TargetOptions{}); !r.Unchanged() || r.Sent != 0 {
			t.Errorf("run %d: %+v", i, r)
		}
	}
	dst.do(os.RemoveAll(sideOf(dst.dir))) // without a memory, contents are read and not sent
	if r := sendOne(t, Source{Root: src.dir, Cache: cache}, gw, dst.dir, TargetOptions{}); r.Files != 0 {
		t.Errorf("without memory: %+v", r)
	}
	dst.do(os.Remove(dst.path("b/d/e")))
	dst.write("a", "x")
	if r := sendOne(t, Source{Root: src.dir, Cache: cache}, gw, dst.dir, TargetOptions{}); r.Files != 2 {
		t.Errorf("after damage: %+v", r)
	}
	same(t, src, dst)
}

// TestVanished is case 89, and a file that is written to between scan and sending.
func TestVanished(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	for _, name := range []string{"stays", "vanishes", "dir/vanishes", "changes"} {
		src.write(name, name)
	}
	src.write("large", strings.Repeat("x", 2*smallFile))
	src.write("large vanishes", strings.Repeat("x", 2*smallFile))
	s := New(Source{Root: src.dir})
	d := &delivery{source: s.source, codec: newCodec()}
	defer d.codec.close()
	d.senders = []*sender{{Target: s.AddTarget(open(t), dst.dir, TargetOptions{Delete: true}), codec: d.codec}}
	d.senders[0].open(t.Context())
	defer d.finish()
	img, err := d.source.scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	src.do(os.Remove(src.path("vanishes")))
	src.do(os.RemoveAll(src.path("dir")))
	src.do(os.Remove(src.path("large vanishes")))
	src.write("changes", "to something else")
	src.write("large", strings.Repeat("y", 2*smallFile))
	if again := d.round(t.Context(), newContent(img, false)); !again || d.senders[0].report.Err != nil {
		t.Errorf("first round: %v, %+v", again, d.senders[0].report)
	}
	if dst.read("stays") != "stays" || dst.exists("vanishes") || dst.exists("changes") || dst.exists("large") {
		t.Errorf("after the first round:\n%s", dst.lines())
	}
	if err := d.rounds(t.Context()); err != nil || d.senders[0].report.Err != nil {
		t.Error(err, d.senders[0].report.Err)
	}
	same(t, src, dst)
}

// TestMissingSource is half of case 92.
func TestMissingSource(t *testing.T) {
	dst := newPlace(t)
	for _, dir := range []string{dst.path("missing"), os.Args[0]} {
		s := New(Source{Root: dir})
		s.AddTarget(open(t), dst.dir, TargetOptions{})
		r, err := s.Send(t.Context())
		if err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", dir, err)
		}
		if r.Targets[0].Err == nil || r.Targets[0].Unchanged() { // what asks for its own target only must not take an old tree for this one
			t.Errorf("%s: %+v", dir, r.Targets[0])
		}
	}
}

// TestNamesOfBytes sends a name that is no UTF-8, which the archives that tests read are full of.
func TestNamesOfBytes(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	name := src.path("lat\xe9in")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Skipf("skipped: there are no such names here: %v", err)
	}
	if names, err := filepath.Glob(src.path("lat*")); err != nil || len(names) != 1 || names[0] != name {
		t.Skipf("skipped: such names become others here: %q, %v", names, err)
	}
	s := New(Source{Root: src.dir})
	s.AddTarget(open(t), dst.dir, TargetOptions{})
	send(t, s)
	same(t, src, dst)
}

// TestSharedReading sends to four targets, which cost one reading and one compression.
func TestSharedReading(t *testing.T) {
	src := newPlace(t)
	for _, name := range []string{"a", "b", "c/d"} {
		src.write(name, strings.Repeat(name, 1000))
	}
	src.write("large", strings.Repeat("large", 200_000))
	s := New(Source{Root: src.dir})
	var places []place
	for range 4 {
		p := newPlace(t)
		places = append(places, p)
		s.AddTarget(open(t), p.dir, TargetOptions{})
	}
	r := send(t, s)
	img, err := s.source.scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := &content{img: img, keep: true, made: make(map[string]*packet)}
	codec := newCodec()
	defer codec.close()
	if one, two := c.small(codec, []int{0, 1}), c.small(codec, []int{0, 1}); one != two || one.err != nil {
		t.Errorf("a packet is made twice: %v", one.err)
	}
	if one, two := c.small(codec, []int{0}), c.small(codec, []int{1}); one == two {
		t.Error("other files get the same packet")
	}
	for i, p := range places {
		same(t, src, p)
		if r.Targets[i].Files != 4 || r.Targets[i].Dir != p.dir {
			t.Errorf("%+v", r.Targets[i])
		}
	}
}

// TestOneOfTwoFails shows that a target that fails is named, and harms no other.
func TestOneOfTwoFails(t *testing.T) {
	src, dst, file := newPlace(t), newPlace(t), newPlace(t)
	src.write("file", "content")
	file.write("file", "in the way")
	s := New(Source{Root: src.dir})
	gw := open(t)
	s.AddTarget(gw, file.path("file/below"), TargetOptions{})
	s.AddTarget(gw, dst.dir, TargetOptions{})
	r, err := s.Send(t.Context())
	if err == nil || !strings.Contains(err.Error(), file.path("file/below")+" on gateway gw0: ") {
		t.Errorf("error: %v", err)
	}
	if r.Targets[0].Err == nil || r.Targets[1].Err != nil {
		t.Errorf("%+v", r)
	}
	same(t, src, dst)
}

// TestOneOfMany changes one file of two thousand: the receiver has most of the manifest already.
func TestOneOfMany(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	gw := open(t)
	for i := range 2000 {
		src.write(fmt.Sprintf("d%d/f%d", i/100, i), "content")
	}
	first := sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{})
	src.write("d7/f777", "new content")
	r := sendOne(t, Source{Root: src.dir}, gw, dst.dir, TargetOptions{})
	if r.Files != 1 || r.Sent > first.Sent/3 {
		t.Errorf("first %+v\nthen  %+v", first, r)
	}
	same(t, src, dst)
}

// TestFresh: a file that was looked at right after its last change is not taken for unchanged,
// because a change right after that may show the same time.
func TestFresh(t *testing.T) {
	now := time.Unix(1_600_000_000, 0)
	for age, want := range map[time.Duration]bool{0: false, tick / 2: false, -time.Hour: false, 2 * tick: true, time.Hour: true} {
		r := record{entry: entry{kind: fileKind}}
		s := fileStat{size: 1, mtime: 1, ctime: now.Add(-age).UnixNano(), inode: 1}
		r.refresh(s, now)
		if r.intact(s) != want {
			t.Errorf("changed %v before: intact %v", age, !want)
		}
	}
	var r record
	r.kind = fileKind
	r.refresh(fileStat{size: 1, mtime: 1}, now)
	if r.intact(r.stat) {
		t.Error("a system that tells no time of change is believed")
	}
}

// A target is told of its end while Send waits for another one, and once, whatever the end is.
func TestTargetIsToldOfItsEnd(t *testing.T) {
	src, quick, slow := newPlace(t), newPlace(t), newPlace(t)
	src.write("a", "content")
	gw := open(t)
	holder := New(Source{Root: src.dir})
	held := holder.AddTarget(gw, slow.dir, TargetOptions{Hold: true})
	send(t, holder)

	s := New(Source{Root: src.dir})
	quickc, slowc := make(chan error, 2), make(chan error, 2)
	s.AddTarget(gw, quick.dir, TargetOptions{Done: func(err error) { quickc <- err }})
	s.AddTarget(gw, slow.dir, TargetOptions{Done: func(err error) { slowc <- err }})
	sentc := make(chan error, 1)
	go func() { _, err := s.Send(t.Context()); sentc <- err }()
	if err := <-quickc; err != nil || quick.read("a") != "content" {
		t.Errorf("the quick one: %v", err)
	}
	select {
	case err := <-slowc:
		t.Errorf("the slow one did not wait: %v", err)
	default:
	}
	if err := held.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := errors.Join(<-slowc, <-sentc); err != nil || len(quickc)+len(slowc) > 0 {
		t.Errorf("%v, and %d more calls", err, len(quickc)+len(slowc))
	}

	missing := New(Source{Root: src.path("missing")})
	missing.AddTarget(gw, quick.dir, TargetOptions{Done: func(err error) { quickc <- err }})
	if _, err := missing.Send(t.Context()); err == nil || <-quickc == nil || len(quickc) > 0 {
		t.Errorf("without a source: %v, and %d more calls", err, len(quickc))
	}
}

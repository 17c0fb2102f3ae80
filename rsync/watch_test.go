package rsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/xdist-go/xdist/gateway"
)

// watchNext runs Watch in the background and returns what gives its rounds, one after the other.
func watchNext(t *testing.T, opts WatchOptions, gws ...*gateway.Gateway) (next func() (Report, error, bool)) {
	t.Helper()
	return nextOf(t, func(ctx context.Context, yield func(Report, error) bool) { Watch(ctx, opts, gws...)(yield) })
}

// nextOf is watchNext for what runs a watch.
func nextOf(t *testing.T, run func(context.Context, func(Report, error) bool)) (next func() (Report, error, bool)) {
	t.Helper()
	type round struct {
		report Report
		err    error
	}
	ctx, cancel := context.WithCancel(t.Context())
	roundc := make(chan round) // closed when Watch has ended
	go func() {
		defer close(roundc)
		run(ctx, func(r Report, err error) bool {
			select {
			case roundc <- round{r, err}:
			case <-ctx.Done():
			}
			return true
		})
	}()
	t.Cleanup(func() {
		cancel()
		for range roundc {
		}
	})
	return func() (Report, error, bool) {
		t.Helper()
		select {
		case r, ok := <-roundc:
			return r.report, r.err, ok
		case <-time.After(time.Minute):
			t.Fatal("no round came within a minute")
		}
		panic("not reached")
	}
}

// untilSame takes rounds until the targets hold what the source does.
func untilSame(t *testing.T, next func() (Report, error, bool), src place, targets ...place) Report {
	t.Helper()
	for {
		r, err, ok := next()
		if err != nil || !ok {
			t.Fatal(err, ok)
		}
		differs := func(p place) bool {
			text, err := p.list()
			return err != nil || text != src.lines()
		}
		if !slices.ContainsFunc(targets, differs) {
			return r
		}
	}
}

// TestWatch changes a tree in all ways, and finds it so on two hosts after each.
func TestWatch(t *testing.T) {
	for _, way := range []string{"told", "polling"} {
		t.Run(way, func(t *testing.T) { testWatch(t, way) })
	}
}

func testWatch(t *testing.T, way string) {
	src, a, b := newPlace(t), newPlace(t), newPlace(t)
	src.write("file", "one")
	opts := WatchOptions{Source: Source{Root: src.dir, Ignore: []string{"*.tmp"}}, Dir: "tree", Quiet: 10 * time.Millisecond, Poll: -1}
	var next func() (Report, error, bool)
	if way == "polling" {
		opts.Poll = 10 * time.Millisecond
		next = pollNext(t, opts, openBeside(t, a), openBeside(t, b))
	} else {
		next = watchNext(t, opts, openBeside(t, a), openBeside(t, b))
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"first", func() {}},
		{"content", func() { src.write("file", "two") }},
		{"new directories", func() { src.write("x/y/z/file", "deep") }},
		{"in a new directory", func() { src.write("x/y/other", "later") }},
		{"mode", func() { src.do(os.Chmod(src.path("file"), 0o755)) }},
		{"move", func() { src.do(os.Rename(src.path("x"), src.path("moved"))) }},
		{"in a moved directory", func() { src.write("moved/y/z/new", "new") }},
		{"deletion", func() { src.do(os.RemoveAll(src.path("moved/y/z"))) }},
		{"link", func() { src.do(os.Symlink("file", src.path("link"))) }},
		{"empty directory", func() { src.do(os.Mkdir(src.path("empty"), 0o755)) }},
		{"file in it", func() { src.write("empty/file", "x") }},
	} {
		step.do()
		if r := untilSame(t, next, src, a, b); len(r.Targets) == 0 || r.Took <= 0 {
			t.Errorf("%s: %+v", step.name, r)
		}
	}
}

// openBeside opens a gateway for which the place is "tree".
func openBeside(t *testing.T, p place) *gateway.Gateway {
	t.Helper()
	g := gateway.NewGroup(gateway.Config{Command: []string{os.Args[0], agentRole}})
	t.Cleanup(func() { g.Close() })
	gw, err := g.Open(t.Context(), "popen//chdir="+filepath.Dir(p.dir)+"//id=h"+filepath.Base(filepath.Dir(p.dir)))
	if err != nil {
		t.Fatal(err)
	}
	return gw
}

// pollNext is watchNext where the system tells nothing.
func pollNext(t *testing.T, opts WatchOptions, gws ...*gateway.Gateway) (next func() (Report, error, bool)) {
	t.Helper()
	w := newWatch(opts, gws)
	w.blind = errors.New("blind")
	return nextOf(t, w.run)
}

// TestWatchIgnored has what git ignores changed, which is no reason for a round, and neither are
// new directories there.
func TestWatchIgnored(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("skipped: there is no git")
	}
	src, dst := newPlace(t), newPlace(t)
	src.write(".gitignore", "ignored\n")
	src.write("file", "one")
	if out, err := exec.Command("git", "-C", src.dir, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n, err := systemNotices()
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	var followed []string
	add := n.add
	n.add = func(dir string) error {
		rel, _ := filepath.Rel(src.dir, dir)
		followed = append(followed, filepath.ToSlash(rel))
		return add(dir)
	}
	w := newWatch(WatchOptions{Source: Source{Root: src.dir}, Dir: dst.dir, Quiet: time.Millisecond, Poll: -1}, []*gateway.Gateway{open(t)})
	w.notices = n
	rounds := 0
	w.run(t.Context(), func(r Report, err error) bool {
		if err != nil {
			t.Error(err)
			return false
		}
		switch rounds++; rounds {
		case 1:
			src.write("ignored/deep/er/x", "x")
			src.write("seen/ignored/x", "x")
			src.write("seen/x", "x")
		default:
			if dst.exists("seen/x") {
				src.write("ignored/y", "y")
				return false
			}
		}
		return rounds < 10
	})
	if !dst.exists("seen/x") || dst.exists("ignored") || dst.exists("seen/ignored") {
		t.Errorf("after %d rounds:\n%s", rounds, dst.lines())
	}
	if want := []string{".", "seen"}; !slices.Equal(followed, want) {
		t.Errorf("followed are %q, want %q", followed, want)
	}
	w.content = nil
	if w.look(t.Context()); w.content == nil || w.content.img.digest != w.hosts[0].has {
		t.Errorf("what is ignored makes a round: %v", w.errs)
	}
}

// TestWatchLosesAHost reports the host once, and goes on with the other.
func TestWatchLosesAHost(t *testing.T) {
	src, a, b := newPlace(t), newPlace(t), newPlace(t)
	src.write("file", "one")
	stays, goes := openBeside(t, a), openBeside(t, b)
	next := watchNext(t, WatchOptions{Source: Source{Root: src.dir}, Dir: "tree", Quiet: time.Millisecond}, stays, goes)
	untilSame(t, next, src, a, b)
	ended := func(gw *gateway.Gateway) {
		t.Helper()
		gw.Exit()
		for {
			r, err, ok := next()
			switch {
			case !ok:
				t.Fatalf("it ended before %s was told of", gw)
			case err == nil: // of what was sent before
			case errors.Is(err, gateway.ErrExited) && len(r.Targets) == 1 && r.Targets[0].Gateway == gw.ID() && r.Targets[0].Err != nil:
				return
			default:
				t.Fatalf("%+v, %v", r, err)
			}
		}
	}
	ended(goes)
	src.write("file", "two")
	if r := untilSame(t, next, src, a); len(r.Targets) != 1 || r.Targets[0].Gateway != stays.ID() {
		t.Errorf("of the one that stays: %+v", r)
	}
	ended(stays)
	if _, _, ok := next(); ok {
		t.Error("it goes on without gateways")
	}
	next = watchNext(t, WatchOptions{Source: Source{Root: src.dir}, Dir: "tree"})
	if _, err, ok := next(); !ok || !errors.Is(err, ErrNoTarget) {
		t.Errorf("without any gateway: %v", err)
	}
}

// TestWatchTriesAgain has a host that cannot take what is sent, for a while.
func TestWatchTriesAgain(t *testing.T) {
	src, dst := newPlace(t), newPlace(t)
	src.write("file", "one")
	dst.do(os.WriteFile(dst.dir, nil, 0o600)) // in the way
	next := watchNext(t, WatchOptions{Source: Source{Root: src.dir}, Dir: dst.dir, Quiet: time.Millisecond, Poll: -1}, open(t))
	if r, err, ok := next(); err == nil || !ok || r.Targets[0].Err == nil {
		t.Errorf("%+v, %v", r, err)
	}
	dst.do(os.Remove(dst.dir))
	for {
		if _, err, ok := next(); err == nil && ok {
			break
		} else if !ok {
			t.Fatal("it has ended")
		}
	}
	same(t, src, dst)
}

// TestNoticesAreLost has the system say that it forgot some, and one directory that it will not
// tell of.
func TestNoticesAreLost(t *testing.T) {
	src := newPlace(t)
	src.write("a/b/c/file", "x")
	events, errs := make(chan fsnotify.Event), make(chan error)
	var followed []string
	full := false
	n := takeNotices(events, errs, func(dir string) error {
		if full && strings.HasSuffix(dir, "c") {
			return errors.New("no space left")
		}
		followed = append(followed, filepath.Base(dir))
		return nil
	}, func() error { close(events); return nil })
	defer n.close()
	follow := func(want ...string) error {
		t.Helper()
		followed = nil
		err := n.follow(t.Context(), Source{Root: src.dir})
		if !slices.Equal(followed, want) {
			t.Errorf("followed are %q, want %q", followed, want)
		}
		return err
	}
	base := filepath.Base(src.dir)
	if err := follow(base, "a", "b", "c"); err != nil {
		t.Error(err)
	}
	if err := follow(); err != nil {
		t.Error(err)
	}
	src.write("a/new/deep/file", "x")
	events <- fsnotify.Event{Name: src.path("a/new"), Op: fsnotify.Create}
	<-n.changedc
	if err := follow("new", "deep"); err != nil {
		t.Error(err)
	}
	errs <- fsnotify.ErrEventOverflow
	<-n.changedc
	full = true
	if err := follow(base, "a", "b", "new"); err == nil {
		t.Error("a directory that cannot be followed is no error")
	}
	full = false
	if err := follow(base, "a", "b", "new", "c", "deep"); err != nil {
		t.Error(err)
	}
	for i := range freshAtMost + 2 {
		events <- fsnotify.Event{Name: src.path(fmt.Sprint("none", i)), Op: fsnotify.Create}
	}
	if err := follow(base, "a", "b", "new", "c", "deep"); err != nil {
		t.Error(err)
	}
}

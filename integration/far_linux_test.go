package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/integration/internal/compare"
	"github.com/xdist-go/xdist/integration/netns"
)

// far is a controller and hosts that have neither Go nor its files. Each test has one of its own.
type far struct {
	*netns.World
	hosts []*netns.Host
}

// newFar makes a world with hosts h1, h2 and so on, one for each of the options. The test is
// skipped where that cannot be.
func newFar(t *testing.T, options ...netns.HostOptions) *far {
	t.Helper()
	if err := netns.Supported(); err != nil {
		t.Skipf("skipped: no hosts of one's own: %v", err)
	}
	w, err := netns.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &far{World: w}
	for i, o := range options {
		h, err := w.AddHost(t.Context(), fmt.Sprintf("h%d", i+1), o)
		if err != nil {
			t.Fatal(err)
		}
		f.hosts = append(f.hosts, h)
	}
	return f
}

// farRun is a run of xdist in a far's network.
type farRun struct {
	*exec.Cmd
	events string // the file of --jsonfile
	out    outputs
}

// outputs are what a run writes to both its standard output and its standard error.
type outputs struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *outputs) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// said is what the run has written so far.
func (r *farRun) said() string {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	return r.out.text.String()
}

// start starts xdist in dir with n gateways to each host.
func (f *far) start(t *testing.T, dir string, n int, args ...string) *farRun {
	t.Helper()
	return f.startWith(t, dir, storeDir(t), n, args...)
}

// startWith is start with a cache directory.
func (f *far) startWith(t *testing.T, dir, cache string, n int, args ...string) *farRun {
	t.Helper()
	var specs []string
	for _, h := range f.hosts {
		specs = append(specs, fmt.Sprintf("%d*%s", n, h.Spec()))
	}
	return f.startSpecs(t, dir, cache, specs, args...)
}

// startSpecs is startWith with the specs of its gateways.
func (f *far) startSpecs(t *testing.T, dir, cache string, specs []string, args ...string) *farRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	t.Cleanup(cancel)
	r := &farRun{events: filepath.Join(t.TempDir(), "events.json")}
	all := []string{"--jsonfile", r.events}
	for _, s := range specs {
		all = append(all, "--tx", s)
	}
	r.Cmd = exec.CommandContext(ctx, xdist(t), append(all, args...)...)
	r.Dir, r.Env = dir, append(os.Environ(), "XDIST_CACHE="+cache)
	r.Stdout, r.Stderr, r.WaitDelay = &r.out, &r.out, 10*time.Second
	if err := f.Start(r.Cmd); err != nil {
		t.Fatal(err)
	}
	return r
}

// wait waits for the run and returns its events and exit status.
func (r *farRun) wait(t *testing.T) (*compare.Model, int) {
	t.Helper()
	var exit *exec.ExitError
	if err := r.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, tail(r.said()))
	}
	if r.ProcessState.ExitCode() < 0 {
		t.Fatalf("xdist: %v\n%s", r.ProcessState, tail(r.said()))
	}
	f, err := os.Open(r.events)
	if err != nil {
		t.Fatalf("%v\nstatus %d\n%s", err, r.ProcessState.ExitCode(), r.said())
	}
	defer f.Close()
	m, err := compare.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return m, r.ProcessState.ExitCode()
}

// eventually waits until f holds, looking again and again.
func eventually(t *testing.T, what string, limit time.Duration, f func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%v have gone by without this: %s", limit, what)
		}
	}
}

// endLimit is how long what runs on a host may take to end after its controller, connection closed.
const endLimit = 5 * time.Second

// checkClean wants nothing on the hosts but the cache.
func (f *far) checkClean(t *testing.T) {
	t.Helper()
	for _, h := range f.hosts {
		var left []netns.Process
		eventually(t, fmt.Sprintf("nothing runs on %s", h.Name), endLimit, func() bool {
			var err error
			left, err = h.Processes()
			if err != nil {
				t.Fatal(err)
			}
			return len(left) == 0
		})
		for _, place := range []struct {
			dir  string
			keep string // pattern of names
		}{{"/root", ".cache"}, {"/root/.cache", "xdist"}, {"/tmp", "xdist-cache"}, {"/var/tmp", "xdist-*"}, {"/dev/shm", "none"}, {"/home", "none"}} {
			entries, err := os.ReadDir(h.Path(place.dir))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
			for _, e := range entries {
				if ok, err := filepath.Match(place.keep, e.Name()); !ok || err != nil {
					t.Errorf("%s: %s/%s is left, %v", h.Name, place.dir, e.Name(), err)
				}
			}
		}
	}
}

// needGo are the fixture's tests that start the go command, which the hosts do not have.
var needGo = []string{"example.com/fixture/environ::TestPath", "example.com/fixture/environ::TestProcessGroup"}

// TestFar holds xdist with two hosts against go test, over all traps.
func TestFar(t *testing.T) {
	t.Parallel()
	f := newFar(t, netns.HostOptions{}, netns.HostOptions{})
	want, _ := goTestEverything(t)
	got, status := f.start(t, fixture(t, "fixture"), 2, "./...").wait(t)
	var explained []string
	for _, d := range compare.Compare(want, got, compare.Verdicts, normal()) {
		id := d.Package + "::" + d.Test
		output := ""
		if p := got.Packages[d.Package]; p != nil && p.Tests[d.Test] != nil {
			output = p.Tests[d.Test].Output
		}
		switch {
		case slices.Contains(needGo, id) && strings.Contains(output, `exec: "go": executable file not found`):
			explained = append(explained, id)
		case d.Package == "example.com/fixture/environ" && d.Test == "": // follows from it
		default:
			t.Errorf("%v\n%s", d, output)
		}
	}
	if !slices.Equal(explained, needGo) {
		t.Errorf("tests that lack the go command: %q, want %q", explained, needGo)
	}
	if status != statusOf(want) {
		t.Errorf("exit status %d, want %d", status, statusOf(want))
	}
	f.checkClean(t)
}

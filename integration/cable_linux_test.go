package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/integration/internal/compare"
	"github.com/xdist-go/xdist/integration/netns"
)

const (
	// lease is gateway.Config's default, after which a silent host is given up, and its agent gives
	// up the controller.
	lease = 15 * time.Second
	// leaseSlack is what comes on top on a loaded machine: the beat that was under way, connections
	// that are waited for, processes that end.
	leaseSlack = 20 * time.Second
)

// desk is where the tests of testdata/cable find what they are told.
const desk = "/run/cable"

// newCable makes a world with two hosts that are ready for testdata/cable.
func newCable(t *testing.T) *far {
	t.Helper()
	f := newFar(t, netns.HostOptions{}, netns.HostOptions{})
	for _, h := range f.hosts {
		if err := os.Mkdir(h.Path(desk), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// tell tells the tests on a host something.
func tell(t *testing.T, h *netns.Host, what string) {
	t.Helper()
	if err := os.WriteFile(h.Path(filepath.Join(desk, what)), nil, 0o666); err != nil {
		t.Fatal(err)
	}
}

// begun are the tests that have begun on a host.
func begun(t *testing.T, h *netns.Host) []string {
	t.Helper()
	names, err := filepath.Glob(h.Path(desk + "/Test*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// startCable starts a run of testdata/cable and waits until a test waits on each host.
func (f *far) startCable(t *testing.T, args ...string) *farRun {
	t.Helper()
	r := f.start(t, fixture(t, "cable"), 1, append(args, "./...")...)
	for _, h := range f.hosts {
		eventually(t, "a test runs on "+h.Name, time.Minute, func() bool { return len(begun(t, h)) > 0 })
	}
	return r
}

// checkAllPass wants each test of testdata/cable to have passed, once.
func checkAllPass(t *testing.T, r *farRun, m *compare.Model, status int) {
	t.Helper()
	for _, p := range m.Problems {
		t.Error(p)
	}
	for _, pkg := range []string{"example.com/cable/one", "example.com/cable/two"} {
		for _, test := range []string{"TestChild", "TestA", "TestB", "TestC", "TestD"} {
			if p := m.Packages[pkg]; p == nil || p.Tests[test] == nil {
				t.Errorf("%s::%s has no verdict", pkg, test)
			} else if v := p.Tests[test]; !slices.Equal(v.Outcomes, []string{"pass"}) {
				t.Errorf("%s::%s has verdicts %v (%v), want one pass\n%s", pkg, test, v.Outcomes, v.Actions, v.Output)
			}
		}
		if p := m.Packages[pkg]; p != nil && p.Outcome != "pass" {
			t.Errorf("%s: %s\n%s", pkg, p.Outcome, p.Output)
		}
	}
	if status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	if t.Failed() {
		t.Logf("xdist said: %s", tail(r.said()))
	}
}

// checkEmpty wants nothing to run on a host any more, within the lease.
func checkEmpty(t *testing.T, h *netns.Host) {
	t.Helper()
	eventually(t, "nothing runs on "+h.Name+", which its controller has lost", lease+leaseSlack, func() bool {
		left, err := h.Processes()
		if err != nil {
			t.Fatal(err)
		}
		return len(left) == 0
	})
}

// TestCableCut cuts off one of two hosts while tests run there, with what they have started.
func TestCableCut(t *testing.T) {
	t.Parallel()
	f := newCable(t)
	r := f.startCable(t)
	h1, h2 := f.hosts[0], f.hosts[1]
	h1.Cable.Cut()
	cut := time.Now()
	tell(t, h2, "go")
	m, status := r.wait(t)
	if took := time.Since(cut); took < lease/2 || took > lease+leaseSlack {
		t.Errorf("the host was given up after %v, want about %v", took, lease)
	}
	checkAllPass(t, r, m, status)
	checkEmpty(t, h1) // while the cable is still cut: no goodbye gets there
	h1.Cable.Mend()
	f.checkClean(t)
	if !strings.Contains(r.said(), "peer is silent for 15s") {
		t.Errorf("the reason is not told: %s", r.said())
	}
}

// TestLateHost lets a host hear everything and be heard no more. It fails its test then, and its
// word comes through when it has been given up.
func TestLateHost(t *testing.T) {
	t.Parallel()
	f := newCable(t)
	r := f.startCable(t, "--max-worker-restart", "0") // else a new gateway would take up work there again
	h1, h2 := f.hosts[0], f.hosts[1]
	h1.Cable.CutFromHost()
	tell(t, h1, "fail")
	tell(t, h1, "go")
	started := len(begun(t, h2))
	eventually(t, "the first host is given up: the other one gets its tests", lease+leaseSlack, func() bool {
		return strings.Contains(r.said(), "gateway gw0 is ")
	})
	_, before := h1.Cable.Carried()
	h1.Cable.Mend()
	eventually(t, "the late host is heard", lease+leaseSlack, func() bool {
		_, now := h1.Cable.Carried()
		return now > before
	})
	checkEmpty(t, h1)
	if now := len(begun(t, h2)); now != started {
		t.Fatalf("the run did not wait for its second host: %d tests have begun there, then %d", started, now)
	}
	tell(t, h2, "go")
	m, status := r.wait(t)
	checkAllPass(t, r, m, status)
	f.checkClean(t)
}

// TestServerKilled kills all of a host's sshd while tests run there.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	f := newCable(t)
	r := f.startCable(t)
	h1, h2 := f.hosts[0], f.hosts[1]
	if err := h1.KillServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	tell(t, h2, "go")
	m, status := r.wait(t)
	checkAllPass(t, r, m, status)
	f.checkClean(t)
	// The run may be over before the host is given up, which takes a second try. A connection that
	// the server took just before its end is reset, and others are refused.
	if said := r.said(); !strings.Contains(said, "connection refused") && !strings.Contains(said, "connection reset") {
		t.Errorf("that the host is gone is not told: %s", r.said())
	}
}

// TestControllerKilled kills xdist while tests run, with what they have started.
func TestControllerKilled(t *testing.T) {
	t.Parallel()
	f := newCable(t)
	r := f.startCable(t)
	if err := r.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.Wait() // says that it was killed
	f.checkClean(t)
}

// TestSlowLink runs over a round trip of 200 ms that loses a packet in a hundred. A binary and a
// change of the tree have to go that way; the agent is there.
func TestSlowLink(t *testing.T) {
	t.Parallel()
	f := newCable(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixture(t, "cable"))); err != nil {
		t.Fatal(err)
	}
	for _, h := range f.hosts {
		tell(t, h, "go")
	}
	if m, status := f.start(t, dir, 1, "./one").wait(t); status != 0 {
		t.Fatalf("exit status %d: %v", status, m.Problems)
	}
	for _, h := range f.hosts {
		h.Cable.Set(netns.Conditions{Delay: 100 * time.Millisecond, Loss: 0.01})
	}
	if err := os.WriteFile(filepath.Join(dir, "new.txt"), []byte("new"), 0o666); err != nil {
		t.Fatal(err)
	}
	r := f.start(t, dir, 1, "./...")
	m, status := r.wait(t)
	checkAllPass(t, r, m, status)
	f.checkClean(t)
}

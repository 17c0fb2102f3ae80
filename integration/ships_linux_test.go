package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/integration/netns"
)

// blobsOn are the digests of the binaries that a host has.
func blobsOn(t *testing.T, h *netns.Host) []string {
	t.Helper()
	dirs, err := filepath.Glob(h.Path("/root/.cache/xdist/blobs/*"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, dir := range dirs {
		if name := filepath.Base(dir); len(name) == 64 {
			out = append(out, name)
		}
	}
	return out
}

// TestHeldBinary has two hosts at slow links, of which an earlier run has left a binary on one. The
// other, which is ready first, does not get it for little work.
func TestHeldBinary(t *testing.T) {
	t.Parallel()
	f := newFar(t, netns.HostOptions{}, netns.HostOptions{})
	dir, cache := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tests := func(pkg, text string) string {
		return "package " + pkg + "\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Log(" + text + ") }\nfunc TestB(*testing.T) {}\nfunc TestC(*testing.T) {}\n"
	}
	write("go.mod", "module example.com/held\n\ngo 1.24\n")
	write("one/one_test.go", tests("one", `"first"`))
	write("two/two_test.go", tests("two", `"first"`))

	run := func(hosts []*netns.Host, args ...string) {
		t.Helper()
		var specs []string
		for _, h := range hosts {
			specs = append(specs, h.Spec())
		}
		r := f.startSpecs(t, dir, cache, specs, args...)
		if m, status := r.wait(t); status != 0 {
			t.Fatalf("exit status %d: %v\n%s", status, m.Problems, tail(r.said()))
		}
	}
	h1, h2 := f.hosts[0], f.hosts[1]
	for _, h := range f.hosts {
		run([]*netns.Host{h}, "--no-history", "./two") // its agent is there, and nothing is known of its link
		h.Cable.Set(netns.Conditions{Rate: 2 << 20})
		run([]*netns.Host{h}, "./one")
	}
	write("one/one_test.go", tests("one", `"second"`))
	run([]*netns.Host{h1}, "./one")
	before := blobsOn(t, h2)
	h1.Cable.Set(netns.Conditions{Rate: 2 << 20, Delay: 40 * time.Millisecond})
	run(f.hosts, "--min-nodes", "2", "./one")
	if after := blobsOn(t, h2); !slices.Equal(after, before) {
		t.Errorf("the second host has %d binaries, and had %d: it got one that the first has", len(after), len(before))
	}
	if len(blobsOn(t, h1)) < 2 || len(before) == 0 {
		t.Errorf("the first host has %d binaries, and the second %d: %s", len(blobsOn(t, h1)), len(before), strings.Join(before, " "))
	}
	f.checkClean(t)
}

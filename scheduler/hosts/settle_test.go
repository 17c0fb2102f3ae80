package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// numbered is a Mirror in dir whose places have the names p0, p1 and so on.
func numbered(dir string) *Mirror {
	return &Mirror{
		Source: rsync.Source{Root: "/mod"}, Place: "p0",
		Dir: func(_, place string) string { return filepath.Join(dir, place, "mod") },
		Other: func(tried []string) (string, error) {
			for i := 0; ; i++ {
				if place := fmt.Sprintf("p%d", i); !slices.Contains(tried, place) {
					return place, nil
				}
			}
		},
	}
}

// A host that refuses every name is asked for some, and given up.
func TestPlacesARefusingHostIsAskedFor(t *testing.T) {
	m := numbered(t.TempDir())
	asked := 0
	other := m.Other
	m.Other = func(tried []string) (string, error) { asked++; return other(tried) }
	hs := New(m, nil, "", func(any) {})
	if _, err := hs.settle(t.Context(), open(t, refusingRole)); !errors.Is(err, errTaken) || !strings.Contains(err.Error(), "--mirror-dir") {
		t.Errorf("got %v", err)
	}
	if asked > placesTried {
		t.Errorf("%d other places were claimed, want at most %d", asked, placesTried)
	}
}

// A host on which the name is another user's has the next one, and binaries for that: one for each
// package and each time that it was mended. The next run begins with the name.
func TestHostWithAnotherPlace(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: paths are those of Unix")
	}
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Symlink(t.TempDir(), filepath.Join(dir, "p0")))
	m := numbered(dir)
	var built, preferred []string
	m.Build = func(_ context.Context, p gotest.Platform, place string, r gotest.Ready) (gotest.Ready, error) {
		built = append(built, strings.Join([]string{p.GOARCH, place, r.Package, r.Binary, r.Digest.Hex()[:3]}, " "))
		return gotest.Ready{Binary: fmt.Sprintf("/store/apart%d/p.test", len(built))}, nil
	}
	m.Prefer = func(place string) { preferred = append(preferred, place) }
	var told []any
	hs := New(m, nil, "", func(m any) { told = append(told, m) })
	gw := open(t, honestRole)
	h, err := hs.settle(t.Context(), gw)
	check(err)
	again, err := hs.settle(t.Context(), gw)
	check(err)
	if h != again || h.place != "p1" || h.mirror != filepath.Join(dir, "p1", "mod") {
		t.Fatalf("host %+v, and then %+v", h, again)
	}
	want := Elsewhere{Hostname: gw.Info().Hostname, Taken: filepath.Join(dir, "p0", "mod"), Dir: h.mirror}
	if len(told) == 0 || told[0] != any(want) {
		t.Errorf("told %v, want %v", told, want)
	}
	a := wire.Assignment{Digest: strings.Repeat("a", 64), Platform: gotest.Platform{GOARCH: "s390x"}, Run: &wire.Order{Package: "m/p", Binary: "/store/main/p.test", Dir: "/mod/p"}}
	for _, tt := range []struct {
		heals int
		want  string
	}{{0, "apart1"}, {0, "apart1"}, {1, "apart2"}} {
		a.Heals = tt.heals
		o, err := hs.Place(t.Context(), gw, h, a)
		check(err)
		if got := filepath.Base(filepath.Dir(o.Binary)); got != tt.want || o.Dir != filepath.Join(h.mirror, "p") {
			t.Errorf("mended %d times: %s runs in %s", tt.heals, got, o.Dir)
		}
	}
	if diff := cmp.Diff([]string{"s390x p1 m/p /store/main/p.test aaa", "s390x p1 m/p /store/main/p.test aaa"}, built); diff != "" {
		t.Errorf("built (-want +got):\n%s", diff)
	}
	hs.byToken["builder"] = &Host{place: "p0", mirror: "/there"}
	a.Host = "builder"
	if _, err := hs.Place(t.Context(), gw, h, a); err == nil || !strings.Contains(err.Error(), "it was built in /there") {
		t.Errorf("a binary that a host has built for another place: %v", err)
	}
	delete(hs.byToken, "builder")
	hs.Release(t.Context())
	hs.byToken["main"] = &Host{place: "p0"}
	hs.Release(t.Context())
	if !slices.Equal(preferred, []string{"p1"}) {
		t.Errorf("places to begin with: %q, want one, when no host has the run's", preferred)
	}
}

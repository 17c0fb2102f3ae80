package gateway

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

func TestOpenWaitsForWhatItGoesThrough(t *testing.T) {
	g := relayGroup(t)
	var specs []xspec.Spec
	for _, text := range []string{"popen//via=p2", "popen//via=p1//id=p2", "popen//id=p1"} {
		spec, err := g.Allocate(parsed(t, text))
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, spec)
	}
	errc := make(chan error, len(specs))
	for _, spec := range specs {
		go func() { errc <- second(g.OpenSpec(t.Context(), spec)) }()
	}
	for range specs {
		if err := <-errc; err != nil {
			t.Error(err)
		}
	}
	if g.Len() != len(specs) {
		t.Errorf("%d members", g.Len())
	}
}

// failingDialer opens nothing, when it is told to.
func failingDialer(goc <-chan struct{}) dialer {
	return func(ctx context.Context, _ origin, _ xspec.Spec, _ Config) (*endpoint, error) {
		select {
		case <-goc:
			return nil, io.ErrUnexpectedEOF
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func TestWaitEndsWhenTheWayCannotBeOpened(t *testing.T) {
	goc := make(chan struct{})
	g := newGroup(Config{}, failingDialer(goc))
	for _, text := range []string{"popen//id=a", "popen//id=b//via=a", "socket//id=c//installvia=b"} {
		if _, err := g.Allocate(parsed(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	errc := make(chan error, 2)
	for _, text := range []string{"popen//id=b//via=a", "socket//id=c//installvia=b"} {
		go func() { errc <- second(g.OpenSpec(t.Context(), parsed(t, text))) }()
	}
	go func() { close(goc) }()
	if _, err := g.OpenSpec(t.Context(), parsed(t, "popen//id=a")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	for range 2 {
		err := <-errc
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), `via gateway "a": open gateway "popen//id=a": `) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := g.OpenSpec(t.Context(), parsed(t, "popen//via=a")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("after the failure: %v", err)
	}
}

func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(Config{OpenTimeout: 20 * time.Second}, failingDialer(nil))
		spec, err := g.Allocate(parsed(t, "popen//id=a"))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = g.OpenSpec(t.Context(), parsed(t, "popen//via=a"))
		if d := time.Since(start); err == nil || !strings.Contains(err.Error(), `via gateway "a": nobody has opened it for 20s`) || d != 20*time.Second {
			t.Errorf("nobody opens it: %v after %v", err, d)
		}

		start = time.Now()
		go g.OpenSpec(t.Context(), spec)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = g.OpenSpec(ctx, parsed(t, "popen//via=a")); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("its context ends: %v after %v", err, time.Since(start))
		}
		errc := make(chan error, 1)
		go func() { errc <- second(g.OpenSpec(t.Context(), parsed(t, "popen//via=a"))) }()
		synctest.Wait()
		if err := g.Terminate(t.Context(), 0); err != nil {
			t.Error(err)
		}
		if err := <-errc; !strings.Contains(err.Error(), "group is terminated") || time.Since(start) != time.Second {
			t.Errorf("Terminate: %v after %v", err, time.Since(start))
		}
		time.Sleep(20 * time.Second) // virtual: the first Open ends
	})
}

// TestWaitLastsAsLongAsTheOpening has a gateway wait for one whose opening begins late and ends
// when the first one's patience would.
func TestWaitLastsAsLongAsTheOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(Config{OpenTimeout: 20 * time.Second}, func(ctx context.Context, from origin, spec xspec.Spec, cfg Config) (*endpoint, error) {
			<-time.After(15 * time.Second)
			return bubbleDialer(ctx, from, spec, cfg)
		})
		way, err := g.Allocate(parsed(t, "popen//id=a"))
		if err != nil {
			t.Fatal(err)
		}
		errc := make(chan error, 1)
		go func() { errc <- second(g.OpenSpec(t.Context(), parsed(t, "popen//via=a"))) }()
		<-time.After(15 * time.Second)
		start := time.Now()
		if _, err := g.OpenSpec(t.Context(), way); err != nil {
			t.Error(err)
		}
		if err := <-errc; err != nil || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := g.Terminate(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestUnknownWay(t *testing.T) {
	g := newGroup(Config{}, failingDialer(nil))
	for _, text := range []string{"popen//via=nobody//id=x", "socket//installvia=nobody//id=x"} {
		_, err := g.OpenSpec(t.Context(), parsed(t, text))
		if want := `open gateway "` + text + `": via gateway "nobody": there is no such gateway`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestRingsAreRefused(t *testing.T) {
	const ring = "gateways go through each other: "
	g := newGroup(Config{}, failingDialer(nil))
	for _, tc := range []struct{ text, want string }{
		{"popen//id=a//via=b", ""},
		{"popen//id=b//via=c", ""},
		{"popen//id=c//via=a", ring + "c via a via b via c"},
		{"socket//id=c//installvia=b", ring + "c via b via c"},
		{"popen//id=c//via=d", ""},
		{"popen//via=gw0", `field "id": names the gateway that it goes through`}, // the id that it would get
	} {
		_, err := g.Allocate(parsed(t, tc.text))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("allocate %s: got %v, want %q", tc.text, err, tc.want)
		}
	}
	if _, err := g.OpenSpec(t.Context(), parsed(t, "popen//id=d//via=a")); err == nil || !strings.Contains(err.Error(), ring+"d via a via b via c via d") {
		t.Errorf("open: %v", err)
	}
}

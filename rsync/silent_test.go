package rsync

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// silent is a handler that answers with what it is given, and says and takes nothing more.
func silent(items ...any) gateway.Handler {
	return func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
		for _, it := range items {
			if err := ch.Send(ctx, it); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

// served opens a gateway to an agent in this process that has these handlers. It answers beats.
func served(t *testing.T, handlers gateway.Handlers) *gateway.Gateway {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		gateway.Serve(context.Background(), far, handlers) // ends with the group
	}()
	g := gateway.NewGroup(gateway.Config{})
	t.Cleanup(func() {
		if err := g.Terminate(context.Background(), 5*time.Second); err != nil {
			t.Error(err)
		}
		<-done
	})
	gw, err := g.Attach(t.Context(), near, "")
	if err != nil {
		t.Fatal(err)
	}
	return gw
}

// An agent that answers beats and nothing else, from the beginning or in the middle, is given up
// when the time for that is over, and not before.
func TestSilentAgents(t *testing.T) {
	const patience, wait = 50 * time.Millisecond, 20 * time.Millisecond
	c := newCodec()
	defer c.close()
	file := entry{kind: fileKind, path: "f", mode: 0o644, size: 4, sum: sumOf([]byte("good"))}
	names, end := c.pack(namePacket, file.append(nil)), c.pack(endPacket, nil)
	src := newPlace(t)
	src.write("f", "good")
	fetch := func(ctx context.Context, gw *gateway.Gateway) error {
		_, err := Pull(ctx, gw, "/x", t.TempDir(), PullOptions{Patience: patience})
		return err
	}
	sync := func(wait time.Duration) func(context.Context, *gateway.Gateway) error {
		return func(ctx context.Context, gw *gateway.Gateway) error {
			s := New(Source{Root: src.dir})
			s.AddTarget(gw, "/x", TargetOptions{Wait: wait, Patience: patience})
			_, err := s.Send(ctx)
			return err
		}
	}
	put := func(ctx context.Context, gw *gateway.Gateway) error {
		_, err := PutBlob(ctx, gw, src.path("f"), PutOptions{Digest: strings.Repeat("0", 64), Patience: patience})
		return err
	}
	for _, tt := range []struct {
		name    string
		handler string
		says    []any
		do      func(context.Context, *gateway.Gateway) error
		after   time.Duration
	}{
		{"fetch", FetchHandler, nil, fetch, patience},
		{"the list of a fetch", FetchHandler, []any{names}, fetch, patience},
		{"a file of a fetch", FetchHandler, []any{names, end, c.pack(dataPacket, []byte("go"))}, fetch, patience},
		{"a sync that waits for others", Handler, nil, sync(wait), wait + patience},
		{"a sync that does not", Handler, nil, sync(-1), patience},
		{"the requests of a sync", Handler, []any{answer{}}, sync(-1), patience},
		{"the report of a sync", Handler, []any{answer{}, end}, sync(-1), patience},
		{"a binary", BlobHandler, nil, put, patience},
		{"a binary that was sent", BlobHandler, []any{blobAnswer{}}, put, patience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			gw := served(t, gateway.Handlers{tt.handler: silent(tt.says...)})
			began := time.Now()
			err := tt.do(ctx, gw)
			if took := time.Since(began); !errors.Is(err, ErrSilent) || took < tt.after {
				t.Errorf("after %v: %v, want it after %v", took, err, tt.after)
			}
		})
	}
}

// What the caller asks for comes first: a deadline of its own, and to wait for as long as it takes.
func TestSilentAgentsByRequest(t *testing.T) {
	const patience = time.Millisecond
	if got := []time.Duration{patienceOf(0), patienceOf(-1), patienceOf(patience)}; !slices.Equal(got, []time.Duration{5 * time.Minute, 0, patience}) {
		t.Errorf("options mean %v", got)
	}
	src := newPlace(t)
	src.write("f", "good")
	gw := served(t, gateway.Handlers{Handler: silent(), FetchHandler: silent()})
	for name, do := range map[string]func(context.Context) error{
		"a sync that waits for another": func(ctx context.Context) error {
			s := New(Source{Root: src.dir})
			s.AddTarget(gw, "/x", TargetOptions{Patience: patience})
			_, err := s.Send(ctx)
			return err
		},
		"a sync that waits for ever": func(ctx context.Context) error {
			s := New(Source{Root: src.dir})
			s.AddTarget(gw, "/x", TargetOptions{Wait: -1, Patience: -1})
			_, err := s.Send(ctx)
			return err
		},
		"a fetch": func(ctx context.Context) error {
			_, err := Fetch(ctx, gw, "/x", []string{"f"}, t.TempDir(), 0)
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := do(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrSilent) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// An agent that says nothing in many packets, or asks for the same for ever, is not waited for.
func TestEmptyPackets(t *testing.T) {
	c := newCodec()
	defer c.close()
	file := entry{kind: fileKind, path: "f", mode: 0o644, size: 4, sum: sumOf([]byte("good"))}
	names, end := c.pack(namePacket, file.append(nil)), c.pack(endPacket, nil)
	// for ever sends the items, and the last one again and again.
	forEver := func(items ...any) gateway.Handler {
		return func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			for i := range 100_000 {
				if err := ch.Send(ctx, items[min(i, len(items)-1)]); err != nil {
					return err
				}
			}
			return errors.New("nobody has ended it")
		}
	}
	src := newPlace(t)
	src.write("f", "good")
	gw := served(t, gateway.Handlers{
		"names":    forEver(c.pack(namePacket, nil)),
		"data":     forEver(names, end, c.pack(dataPacket, nil)),
		"requests": forEver(answer{}, c.pack(requestPacket, nil)),
		"again":    forEver(answer{}, c.pack(requestPacket, []byte{wholeRequest, 0, 0})),
	})
	for _, name := range []string{"names", "data"} {
		ch, err := gw.RemoteExec(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := catchAll(t.Context(), ch, t.TempDir(), nil); !errors.Is(err, errBadPacket) {
			t.Errorf("%s: %v", name, err)
		}
		ch.Close()
	}
	for _, name := range []string{"requests", "again"} {
		sd := &sender{Target: &Target{gw: gw}, codec: c}
		ch, err := gw.RemoteExec(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		sd.ch.Channel = ch
		img, err := Source{Root: src.dir}.scan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sd.round(t.Context(), newContent(img, false)); !errors.Is(sd.report.Err, errGarbled) {
			t.Errorf("%s: %v", name, sd.report.Err)
		}
		ch.Close()
	}
}

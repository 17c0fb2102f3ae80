package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func greeting(t testing.TB, version uint16, v any) string {
	t.Helper()
	var b bytes.Buffer
	if err := writeGreeting(&b, version, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGreetingIsFoundBehindNoise(t *testing.T) {
	want := welcome{Info: Info{Pid: 1, Hostname: "h", CPUs: 3}}
	text := greeting(t, ProtocolVersion, want)
	for _, noise := range []string{"", "Welcome!\r\n", magic[:5], magic[:len(magic)-1] + "\x00", strings.Repeat("x", maxNoise)} {
		var got welcome
		if err := readGreeting(bufio.NewReader(strings.NewReader(noise+text)), &got); err != nil {
			t.Errorf("after %d bytes of noise: %v", len(noise), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestGreetingIsRefused(t *testing.T) {
	text := greeting(t, ProtocolVersion, welcome{})
	versioned := text[:len(magic)+2]
	for _, tc := range []struct {
		name, input, want string
		is                error
	}{
		{"noise without end", strings.Repeat("x", maxNoise+len(magic)), "no hello in the first 65536 bytes", ErrProtocol},
		{"chatter", "sh: xdist: not found\n", `after "sh: xdist: not found\n"`, io.EOF},
		{"nothing", "", "before the hello: EOF", io.EOF},
		{"huge", versioned + "\xff\xff\xff\xff", "hello of 4294967295 bytes", ErrProtocol},
		{"no CBOR", versioned + "\x00\x00\x00\x01\xff", "hello", ErrProtocol},
		{"cut", text[:len(text)-1], "ended in the hello", io.ErrUnexpectedEOF},
	} {
		err := readGreeting(bufio.NewReader(strings.NewReader(tc.input)), new(welcome))
		if err == nil || !strings.Contains(err.Error(), tc.want) || !errors.Is(err, tc.is) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
}

func TestVersionMismatchIsTold(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	servedc := make(chan error, 1)
	go func() { servedc <- Serve(context.Background(), far, nil) }()
	go io.WriteString(near, greeting(t, ProtocolVersion+1, hello{})) // the agent answers when it has read enough
	answer := bufio.NewReader(near)
	if err := skipNoise(answer); err != nil {
		t.Fatal(err)
	}
	near.Close()
	want := VersionError{Ours: ProtocolVersion, Theirs: ProtocolVersion + 1}
	if v, ok := errors.AsType[*VersionError](<-servedc); !ok || *v != want {
		t.Errorf("agent: got %v", v)
	}

	near, far = net.Pipe()
	go io.WriteString(far, greeting(t, ProtocolVersion+1, welcome{}))
	_, err := greet(t.Context(), newBufferedConn(struct {
		io.Reader
		io.Writer
		io.Closer
	}{near, io.Discard, near}), testHello())
	if v, ok := errors.AsType[*VersionError](err); !ok || *v != want {
		t.Errorf("controller: got %v", err)
	}
	near.Close()
}

func TestHelloLimitsAreChecked(t *testing.T) {
	good := testHello()
	good.Window = minWindow
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*hello){
		"item":     func(h *hello) { h.MaxItem = maxItemSize + 1 },
		"channels": func(h *hello) { h.MaxChannels = 0 },
		"window":   func(h *hello) { h.Window = 1 << 40 },
		"frame":    func(h *hello) { h.Frame = 0 },
	} {
		h := good
		change(&h)
		if err := h.check(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add([]byte(greeting(f, ProtocolVersion, testHello())))
	f.Add([]byte("noise" + magic + "\x00\x02\x00\x00\x00\x01\xa0"))
	f.Fuzz(func(t *testing.T, input []byte) {
		var h hello
		err := readGreeting(bufio.NewReader(bytes.NewReader(input)), &h)
		_, version := errors.AsType[*VersionError](err)
		if err != nil && !version && !errors.Is(err, ErrProtocol) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("undocumented error %v", err)
		}
	})
}

// FuzzServe is what an agent does with a controller that sends anything after a good hello.
func FuzzServe(f *testing.F) {
	h := testHello()
	h.Window, h.Grace, h.Lease = minWindow, 1000, 0
	start := greeting(f, ProtocolVersion, h)
	open := "\x01\x01\xa0"
	f.Add([]byte(muxFrame(1, muxFlagSYN, 1, 0, "") + muxFrame(muxData, 0, 1, 3, open)))
	f.Add([]byte(muxFrame(muxData, muxFlagSYN, 1, 3, open) + muxFrame(muxData, muxFlagSYN, 3, 9, "\x01\x07\xa1\x01\x64echo") +
		muxFrame(muxData, 0, 3, 3, "\x02\x01\x05") + muxFrame(1, 4, 3, 0, "") + muxFrame(3, 0, 0, 0, "")))
	handlers := Handlers{"echo": func(ctx context.Context, ch *Channel, _ Item) error {
		for it, err := range ch.Items(ctx) {
			if err := errors.Join(err, ch.Send(ctx, it)); err != nil {
				return err
			}
		}
		return nil
	}}
	f.Fuzz(func(t *testing.T, input []byte) {
		Serve(t.Context(), pipeOf(start+string(input)), handlers) // must return, and not panic
	})
}

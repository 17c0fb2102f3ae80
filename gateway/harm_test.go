package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

// thorn is an error whose methods do not stand a nil pointer, and a value that cannot be encoded.
type thorn struct{ text string }

func (t *thorn) Error() string                { return t.text }
func (t *thorn) MarshalCBOR() ([]byte, error) { panic("in MarshalCBOR") }

func init() {
	gateway.Func("typed nil", func(context.Context, any) (int, error) {
		var none *thorn
		return 0, none
	})
	gateway.Func("goexit", func(context.Context, any) (int, error) { runtime.Goexit(); return 0, nil })
	gateway.Func("thorn", func(context.Context, any) (*thorn, error) { return &thorn{"x"}, nil })
}

// thornHandlers end in ways that harm who does not expect them.
func thornHandlers() gateway.Handlers {
	return gateway.Handlers{
		"typed nil of a handler": func(context.Context, *gateway.Channel, gateway.Item) error {
			var none *thorn
			return none
		},
		"fail after the last item": func(ctx context.Context, ch *gateway.Channel, _ gateway.Item) error {
			return errors.Join(ch.Send(ctx, 1), ch.CloseSend(), errOutOfLuck)
		},
	}
}

// What a function returns can harm its own call, and not its agent.
func TestHarmfulResults(t *testing.T) {
	ctx, gw := t.Context(), open(t, "popen")
	other := gateway.Go[bool](ctx, gw, "held", nil)
	awaitRunning(t, gw, "held")
	for name, want := range map[string]string{"typed nil": "whose method panics", "thorn": "panic: in MarshalCBOR", "goexit": "runtime.Goexit"} {
		if _, err := gateway.Call[any](ctx, gw, name, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := remoteExec(t, gw, "typed nil of a handler", nil).WaitClose(ctx); err == nil || !strings.Contains(err.Error(), "whose method panics") {
		t.Errorf("got %v", err)
	}
	if _, err := gateway.Call[any](ctx, gw, "release", nil); err != nil {
		t.Error(err)
	}
	if done, err := other.Wait(ctx); !done || err != nil {
		t.Errorf("another call ended with %v, %v", done, err)
	}
	last := open(t, "popen")
	ch := remoteExec(t, last, "fail after the last item", nil)
	receive[int](t, ch)                                                                          // from now on the agent counts the channel
	for st, err := last.Status(ctx); err != nil || st.Channels > 0; st, err = last.Status(ctx) { // it knows that the end was read
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := ch.Receive(ctx, new(any)); !errors.Is(err, errOutOfLuck) {
		t.Errorf("an error behind the last item: %v", err)
	}
	null := &gateway.RemoteError{Text: "x", Type: "test.quota", Value: []byte{0xf6}}
	if q, ok := errors.AsType[*quota](null); ok {
		t.Errorf("an agent made a %T that is %v", q, q)
	}
}

// A call that Exit has ended tells so, and is not taken for one that its caller has ended.
func TestCallMeetsExit(t *testing.T) {
	gw := open(t, "popen")
	f := gateway.Go[int](t.Context(), gw, "wait", nil)
	awaitRunning(t, gw, "wait")
	gw.Exit()
	if _, err := f.Wait(t.Context()); !errors.Is(err, gateway.ErrExited) || errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// lateWriter calls wait before it takes what is behind the first bytes.
type lateWriter struct {
	first int
	wait  func()
	taken bytes.Buffer
}

func (w *lateWriter) Write(p []byte) (int, error) {
	if w.taken.Len() >= w.first && w.wait != nil {
		w.wait()
		w.wait = nil
	}
	return w.taken.Write(p)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// All that a program writes comes, and what goes wrong around it is told.
func TestCommandIsWhole(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: it needs a POSIX shell")
	}
	ctx, gw := t.Context(), open(t, "popen")
	// More than all buffers hold, of which the last is read when the program has written it.
	writtenc := make(chan struct{})
	late := &lateWriter{first: 2_900_000, wait: func() { <-writtenc }}
	c := gw.Command(ctx, "sh", "-c", "head -c 3000000 /dev/zero; echo written >&2")
	c.Stdout = late
	c.Stderr = writerFunc(func(p []byte) (int, error) { close(writtenc); return len(p), nil })
	if err := c.Run(); err != nil || late.taken.Len() != 3_000_000 {
		t.Errorf("%d bytes came, %v", late.taken.Len(), err)
	}
	var both bytes.Buffer
	c = gw.Command(ctx, "sh", "-c", "for i in $(seq 1000); do echo out; echo err >&2; done")
	c.Stdout, c.Stderr = &both, &both
	if err := c.Run(); err != nil || both.Len() != 8000 {
		t.Errorf("%d bytes came of both, %v", both.Len(), err)
	}
	c = gw.Command(ctx, "cat")
	c.Stdin = io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errOutOfLuck))
	if out, err := c.Output(); !errors.Is(err, errOutOfLuck) || string(out) != "half" {
		t.Errorf("with a reader that fails: %q, %v", out, err)
	}
	if err := c.Process.Signal(os.Interrupt); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal after the end: %v", err)
	}
}

// The end of its context ends the waiting for a program, whatever has left its session.
func TestCommandThatLeftSomethingBehind(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: it needs setsid")
	}
	gw := open(t, "popen")
	ctx, cancel := context.WithCancel(t.Context())
	c := gw.Command(ctx, "sh", "-c", "setsid sleep 20 & echo started; sleep 1000")
	r, w := io.Pipe()
	c.Stdout = w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	cancel()
	began := time.Now()
	if err := c.Wait(); !errors.Is(err, context.Canceled) || time.Since(began) > prompt {
		t.Errorf("it ended after %v with %v", time.Since(began), err)
	}
}

// A script whose threads go on ends with its channel.
func TestScriptWithThreads(t *testing.T) {
	needPython(t)
	gw := open(t, "popen")
	ch := runScript(t, gw, "import threading, time; threading.Thread(target=lambda: time.sleep(1000)).start(); channel.send(1)", nil)
	receive[int](t, ch)
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, gw)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A file that was not written whole is the one that it was.
func TestWriteFileIsWhole(t *testing.T) {
	gw, name := open(t, "popen"), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("before"), 0o640); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := gw.WriteFile(ctx, name, make([]byte, 10<<20), 0o600); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	awaitRunning(t, gw)
	for what, from := range map[string]func(cancel func()) io.Reader{
		"fails": func(func()) io.Reader { return iotest.ErrReader(errOutOfLuck) },
		"is cancelled": func(cancel func()) io.Reader {
			return readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		half := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), from(cancel))
		if err := gw.WriteFileFrom(ctx, name, half, 0o600); !errors.Is(err, errOutOfLuck) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
		awaitRunning(t, gw)
		if text, err := os.ReadFile(name); err != nil || string(text) != "before" {
			t.Errorf("%s: %d bytes were written, %v", what, len(text), err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if text, readErr := os.ReadFile(name); readErr != nil || err != nil || string(text) != "before" || len(entries) != 1 {
		t.Errorf("it is %.40q (%v), among %v", text, readErr, entries)
	}
	if err := gw.WriteFile(t.Context(), name, []byte("after"), 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 && runtime.GOOS != "windows" {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}

package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gateway"
)

// syncBuffer is a buffer that many goroutines may use.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestItemsThenEnd(t *testing.T) { overTransports(t, testItemsThenEnd) } // conformance 51

func testItemsThenEnd(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "send", []int{42})
	if n := receive[int](t, c); n != 42 {
		t.Errorf("got %d", n)
	}
	wantEnd(t, c)
}

func TestItemsThenRemoteError(t *testing.T) { overTransports(t, testItemsThenRemoteError) } // conformance 52

func testItemsThenRemoteError(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "send42 and fail", nil)
	if n := receive[int](t, c); n != 42 {
		t.Errorf("got %d", n)
	}
	err := c.Receive(t.Context(), new(int))
	if re, ok := errors.AsType[*gateway.RemoteError](err); !ok || re.Text != "out of luck" {
		t.Errorf("got %v", err)
	}
	wantEnd(t, c)
}

func TestReceiveWithDeadline(t *testing.T) { overTransports(t, testReceiveWithDeadline) } // conformance 54

func testReceiveWithDeadline(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "echo", nil)
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := c.Receive(ctx, new(int))
	if d := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || d < 200*time.Millisecond || d > prompt {
		t.Errorf("got %v after %v", err, d)
	}
	send(t, c, 1)
	if n := receive[int](t, c); n != 1 {
		t.Errorf("after the deadline: %d", n)
	}
}

func TestArrivedItemIsPreferredToCancellation(t *testing.T) {
	overTransports(t, testArrivedItemIsPreferredToCancellation)
}

func testArrivedItemIsPreferredToCancellation(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "send", []int{1, 2})
	if err := c.WaitClose(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for want := 1; want <= 2; want++ {
		var n int
		if err := c.Receive(ctx, &n); err != nil || n != want {
			t.Errorf("got %d, %v", n, err)
		}
	}
	if err := c.Send(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Send with a cancelled context: %v", err)
	}
}

func TestSendAfterRemoteEnd(t *testing.T) { overTransports(t, testSendAfterRemoteEnd) } // conformance 56

func testSendAfterRemoteEnd(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "send", []int{})
	if err := c.WaitClose(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), 1); !errors.Is(err, gateway.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestItemsSurviveWaitClose(t *testing.T) { overTransports(t, testItemsSurviveWaitClose) } // conformance 57

func testItemsSurviveWaitClose(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "count", 1000)
	if err := c.WaitClose(t.Context()); err != nil {
		t.Fatal(err)
	}
	for want := range 1000 {
		if n := receive[int](t, c); n != want {
			t.Fatalf("got %d, want %d", n, want)
		}
	}
	wantEnd(t, c)
}

func TestCloseIsIdempotent(t *testing.T) { overTransports(t, testCloseIsIdempotent) } // conformance 60

func testCloseIsIdempotent(t *testing.T, tr transport) {
	gw := tr.open(t)
	c := remoteExec(t, gw, "echo", nil)
	for range 3 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := c.WaitClose(t.Context()); err != nil {
		t.Errorf("WaitClose: %v", err)
	}
	wantEnd(t, c)
	if err := c.Send(t.Context(), 1); !errors.Is(err, gateway.ErrClosed) {
		t.Errorf("Send: %v", err)
	}
	awaitStatus(t, gw, gateway.Status{})
}

func TestCloseWithReachesThePeer(t *testing.T) { overTransports(t, testCloseWithReachesThePeer) }

func testCloseWithReachesThePeer(t *testing.T, tr transport) {
	gw := tr.open(t)
	in, out := must(gw.NewChannel(t.Context())), must(gw.NewChannel(t.Context()))
	defer out.Close()
	c := remoteExec(t, gw, "two channels", struct{ From, To gateway.Ref }{in.Ref(), out.Ref()})
	if err := in.CloseWith(errors.New("changed my mind")); err != nil {
		t.Fatal(err)
	}
	err := c.WaitClose(t.Context())
	if re, ok := errors.AsType[*gateway.RemoteError](err); !ok || !strings.Contains(re.Text, "changed my mind") {
		t.Errorf("got %v", err)
	}
}

func TestIteration(t *testing.T) { overTransports(t, testIteration) } // conformance 61

func testIteration(t *testing.T, tr transport) {
	gw := tr.open(t)
	var got []int
	for n, err := range gateway.All[int](t.Context(), remoteExec(t, gw, "count", 3)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if diff := cmp.Diff([]int{0, 1, 2}, got); diff != "" {
		t.Error(diff)
	}
	var errs []error
	for _, err := range remoteExec(t, gw, "send42 and fail", nil).Items(t.Context()) {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || errs[1] == nil {
		t.Errorf("got %v, want one item and one error", errs)
	}
}

func TestChannelsInsideAnItem(t *testing.T) { overTransports(t, testChannelsInsideAnItem) } // conformance 62

func testChannelsInsideAnItem(t *testing.T, tr transport) {
	gw := tr.open(t)
	in, out := must(gw.NewChannel(t.Context())), must(gw.NewChannel(t.Context()))
	c := remoteExec(t, gw, "two channels", struct{ From, To gateway.Ref }{in.Ref(), out.Ref()})
	for i := range 10 {
		send(t, in, i)
		if n := receive[int](t, out); n != i {
			t.Errorf("got %d, want %d", n, i)
		}
	}
	if err := in.CloseSend(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, out)
	if err := c.WaitClose(t.Context()); err != nil {
		t.Error(err)
	}
	in.Close()
	out.Close()
	awaitStatus(t, gw, gateway.Status{})
}

func TestChannelSentOverItself(t *testing.T) { overTransports(t, testChannelSentOverItself) } // conformance 63

func testChannelSentOverItself(t *testing.T, tr transport) {
	g := newGroup(t, config())
	gw, other := tr.openIn(t, g), tr.openIn(t, g)
	c := remoteExec(t, gw, "echo", nil)
	send(t, c, c.Ref())
	ref := receive[gateway.Ref](t, c)
	back, err := c.Resolve(t.Context(), ref)
	if err != nil || back != c {
		t.Errorf("got %v, %v; want the same channel", back, err)
	}
	if _, err := other.Resolve(t.Context(), ref); err == nil {
		t.Error("another gateway resolved the reference")
	}
	c.CloseSend()
	wantEnd(t, c)
	awaitStatus(t, gw, gateway.Status{})
	if back, err := gw.Resolve(t.Context(), ref); err == nil {
		t.Errorf("a channel that has ended was resolved: %v", back)
	}
}

func TestCallback(t *testing.T) { overTransports(t, testCallback) } // conformance 65, 67

func testCallback(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "send", []int{42, 13})
	if n := receive[int](t, c); n != 42 {
		t.Errorf("got %d", n)
	}
	got, endc := collect(t, c)
	if err := c.Receive(t.Context(), new(int)); !errors.Is(err, gateway.ErrCallback) {
		t.Errorf("Receive beside a callback: %v", err)
	}
	if err := c.SetCallback(func(gateway.Item) error { return nil }, nil); !errors.Is(err, gateway.ErrCallback) {
		t.Errorf("second callback: %v", err)
	}
	if err := <-endc; err != nil {
		t.Errorf("end: %v", err)
	}
	if diff := cmp.Diff([]int{13}, *got); diff != "" {
		t.Error(diff)
	}
}

// collect sets a callback that keeps the items, which may be read after the end was received.
func collect(t *testing.T, c *gateway.Channel) (*[]int, <-chan error) {
	t.Helper()
	var got []int
	endc := make(chan error, 2) // room for an end too many
	err := c.SetCallback(func(it gateway.Item) error {
		var n int
		err := it.Decode(&n)
		got = append(got, n)
		return err
	}, func(err error) { endc <- err })
	if err != nil {
		t.Fatal(err)
	}
	return &got, endc
}

func TestEndMarkerComesOnce(t *testing.T) { overTransports(t, testEndMarkerComesOnce) } // conformance 67

func testEndMarkerComesOnce(t *testing.T, tr transport) {
	gw := tr.open(t)
	_, failed := collect(t, remoteExec(t, gw, "send42 and fail", nil))
	if _, ok := errors.AsType[*gateway.RemoteError](<-failed); !ok {
		t.Error("end of a failed handler is no RemoteError")
	}
	blocked := remoteExec(t, gw, "block", nil)
	receive[string](t, blocked)
	_, lost := collect(t, blocked)
	remoteExec(t, gw, "exit", 1)
	if _, ok := errors.AsType[*gateway.LostError](<-lost); !ok {
		t.Error("end of a lost gateway is no LostError")
	}
	<-gw.Done()
	if len(failed)+len(lost) != 0 {
		t.Error("a second end marker came")
	}
}

func TestFailingCallback(t *testing.T) { overTransports(t, testFailingCallback) } // conformance 68

func testFailingCallback(t *testing.T, tr transport) {
	for name, callback := range map[string]func(gateway.Item) error{
		"error": func(gateway.Item) error { return errors.New("indigestion") },
		"panic": func(gateway.Item) error { panic("indigestion") },
	} {
		t.Run(name, func(t *testing.T) {
			gw := tr.open(t)
			report := must(gw.NewChannel(t.Context()))
			defer report.Close()
			c := remoteExec(t, gw, "echo and report", report.Ref())
			endc := make(chan error, 1)
			if err := c.SetCallback(callback, func(err error) { endc <- err }); err != nil {
				t.Fatal(err)
			}
			send(t, c, 1)
			for what, err := range map[string]error{"end marker": <-endc, "WaitClose": c.WaitClose(t.Context())} {
				if err == nil || !strings.Contains(err.Error(), "indigestion") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if got := receive[string](t, report); !strings.HasPrefix(got, "remote: ") || !strings.Contains(got, "indigestion") {
				t.Errorf("the peer got %q", got)
			}
		})
	}
}

func TestWriter(t *testing.T) { overTransports(t, testWriter) } // conformance 73

func testWriter(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "echo", nil)
	w := c.Writer(t.Context())
	for _, s := range []string{"one", "", "two"} {
		if n, err := io.WriteString(w, s); n != len(s) || err != nil {
			t.Errorf("write %q: %d, %v", s, n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, gateway.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	for _, want := range []string{"one", "", "two"} {
		if got := receive[[]byte](t, c); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	wantEnd(t, c)
}

func TestReader(t *testing.T) { overTransports(t, testReader) } // conformance 74

func testReader(t *testing.T, tr transport) {
	gw := tr.open(t)
	r := remoteExec(t, gw, "send", []string{"xy", "abcde"}).Reader(t.Context())
	for _, n := range []int{2, 5} {
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		if want := map[int]string{2: "xy", 5: "abcde"}[n]; string(b) != want {
			t.Errorf("got %q, want %q", b, want)
		}
	}
	lines := bufio.NewReader(remoteExec(t, gw, "send", []string{"12", "3\n4", "5"}).Reader(t.Context()))
	for _, want := range []string{"123\n", "45"} {
		if got, _ := lines.ReadString('\n'); got != want {
			t.Errorf("line %q, want %q", got, want)
		}
	}
	if _, err := lines.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if _, err := remoteExec(t, gw, "send", []int{1}).Reader(t.Context()).Read(make([]byte, 1)); err == nil {
		t.Error("a number was read as bytes")
	}
}

func TestSlowReceiverDelaysNobody(t *testing.T) { overTransports(t, testSlowReceiverDelaysNobody) } // conformance 75

func testSlowReceiverDelaysNobody(t *testing.T, tr transport) {
	gw := tr.open(t)
	flood := remoteExec(t, gw, "flood", 1<<20)
	c := remoteExec(t, gw, "echo", nil)
	for i := range 100 {
		send(t, c, i)
		if n := receive[int](t, c); n != i {
			t.Fatalf("got %d", n)
		}
	}
	flood.Close()
	awaitStatus(t, gw, gateway.Status{Executing: 1, Channels: 1})

	sink := remoteExec(t, gw, "block", nil) // never reads
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	sent, block := 0, make([]byte, 1<<20)
	var err error
	for ; sent < 300 && err == nil; sent++ {
		err = sink.Send(ctx, block)
	}
	if !errors.Is(err, context.DeadlineExceeded) || sent > 20 {
		t.Errorf("%d MiB were taken, %v", sent, err)
	}
	send(t, c, "still there")
	if s := receive[string](t, c); s != "still there" {
		t.Errorf("got %q", s)
	}
	sink.Close()
}

func TestItemSizeLimit(t *testing.T) { overTransports(t, testItemSizeLimit) }

func testItemSizeLimit(t *testing.T, tr transport) {
	cfg := config()
	cfg.MaxItem = 1 << 20
	c := remoteExec(t, tr.openIn(t, newGroup(t, cfg)), "echo", nil)
	if err := c.Send(t.Context(), make([]byte, 1<<20)); !errors.Is(err, gateway.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	send(t, c, make([]byte, 1<<20-5))
	if b := receive[[]byte](t, c); len(b) != 1<<20-5 {
		t.Errorf("got %d bytes", len(b))
	}
}

func TestUndecodableItemIsSkipped(t *testing.T) { overTransports(t, testUndecodableItemIsSkipped) }

func testUndecodableItemIsSkipped(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "send", []any{"text", 2, nil, "\xff\x00", 1.5})
	if err := c.Receive(t.Context(), new(int)); err == nil {
		t.Error("text was decoded into an int")
	}
	if n := receive[int](t, c); n != 2 {
		t.Errorf("got %d", n)
	}
	if v := receive[any](t, c); v != nil {
		t.Errorf("got %v, want nil", v)
	}
	if s := receive[string](t, c); s != "\xff\x00" {
		t.Errorf("got %q", s)
	}
	if f := receive[float64](t, c); f != 1.5 {
		t.Errorf("got %v", f)
	}
	if err := c.Send(t.Context(), func() {}); err == nil || errors.Is(err, gateway.ErrClosed) {
		t.Errorf("send a function: %v", err)
	}
}

func TestManyItemsEachWay(t *testing.T) { overTransports(t, testManyItemsEachWay) }

func testManyItemsEachWay(t *testing.T, tr transport) {
	c := remoteExec(t, tr.open(t), "echo", nil)
	const count = 50_000
	var sender sync.WaitGroup
	sender.Go(func() {
		for i := range count {
			if err := c.Send(t.Context(), fmt.Sprintf("%d:%s", i, strings.Repeat("x", i%100))); err != nil {
				t.Error(err)
				return
			}
		}
		c.CloseSend()
	})
	for i := range count {
		if got := receive[string](t, c); got != fmt.Sprintf("%d:%s", i, strings.Repeat("x", i%100)) {
			t.Fatalf("item %d is %q", i, got)
		}
	}
	wantEnd(t, c)
	sender.Wait()
}

// TestCloseMeetsClose closes channels at the moment at which their handlers end, many times: the
// Close that is still queued when the peer's arrives has to be sent all the same, or the peer takes
// the connection for lost.
func TestCloseMeetsClose(t *testing.T) {
	gw := open(t, "popen")
	for range 1000 {
		c := remoteExec(t, gw, "send", []any{1})
		receive[int](t, c)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

package gateway_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// Over a slow link a compressed session pays: what goes over the wire is a small part of what is
// sent, and it is the same at the other end.
func TestCompressedSession(t *testing.T) {
	key, name := keyIn(t)
	addr := serveSocket(t, &gateway.SocketServer{Key: key})
	text := strings.Repeat("ok  \texample.com/m/some/package\t0.123s\n", 50_000)
	bytesOf := func(fields string) int64 {
		m := newProxy(t, addr)
		gw := open(t, "socket="+m.addr+"//key="+name+fields)
		ch := remoteExec(t, gw, "echo", nil)
		for range 3 {
			send(t, ch, text)
			if got := receive[string](t, ch); got != text {
				t.Fatal("the text has changed on the way")
			}
		}
		gw.Exit()
		<-gw.Done()
		return m.sent.Load()
	}
	plain, compressed := bytesOf(""), bytesOf("//compress=zstd")
	t.Logf("%d bytes of text, both ways: %d on the wire, %d compressed", 6*len(text), plain, compressed)
	if plain < 6*int64(len(text)) || compressed > plain/20 {
		t.Errorf("%d bytes plain, %d compressed", plain, compressed)
	}
	if _, err := newGroup(t, config()).Open(t.Context(), "popen//compress=lz4"); err == nil || !strings.Contains(err.Error(), "can only be zstd") {
		t.Errorf("an unknown form: %v", err)
	}
}

// Every way to an agent can be compressed, and a round trip of a small item waits for no other.
func TestCompressedOverTransports(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		gw := tr.open(t, "compress=zstd")
		ch := remoteExec(t, gw, "echo", nil)
		for i := range 100 {
			send(t, ch, i)
			if got := receive[int](t, ch); got != i {
				t.Fatalf("got %d, want %d", got, i)
			}
		}
		gw.Exit()
		<-gw.Done()
		if err := gw.Err(); !errors.Is(err, gateway.ErrExited) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// A compressed session whose agent is killed ends as another does.
func TestCompressedSessionIsLost(t *testing.T) {
	gw := open(t, "popen//compress=zstd")
	err := remoteExec(t, gw, "exit", 3).WaitClose(t.Context())
	if lost, ok := errors.AsType[*gateway.LostError](err); !ok || lost.Status != "exit status 3" {
		t.Errorf("got %v", err)
	}
}

package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Messages come through as they are; what is none is a violation, and nothing large is allocated
// for it.
func TestNetworkMessages(t *testing.T) {
	now := time.Now().UTC()
	want := networkAnswer{IDs: []string{"a"}, State: NetworkStatus{Name: "n", Pid: 1, Since: now, Hosts: []NetworkHost{{ID: "a", Up: true, Since: now, Info: Info{CPUs: 4}}}}}
	var b bytes.Buffer
	if err := errors.Join(writeNetworkHead(&b), writeNetworkMessage(&b, want)); err != nil {
		t.Fatal(err)
	}
	var got networkAnswer
	if err := errors.Join(readNetworkHead(&b), readNetworkMessage(&b, &got)); err != nil || b.Len() != 0 {
		t.Fatal(err, b.Len())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]error{
		"":                            io.EOF,
		"GET / HTTP/1.1":              ErrProtocol,
		"\x00xdist gateway\n\x00\x02": ErrProtocol,
		"\x00xdist network\n\x00":     io.ErrUnexpectedEOF,
	} {
		if err := readNetworkHead(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("head %q: %v, want %v", text, err, want)
		}
	}
	for text, want := range map[string]error{
		"\xff\xff\xff\xff":     ErrProtocol,
		"\x00\x00\x00\x05a":    io.ErrUnexpectedEOF,
		"\x00\x00\x00\x01\xff": ErrProtocol,
	} {
		if err := readNetworkMessage(strings.NewReader(text), &got); !errors.Is(err, want) {
			t.Errorf("message %q: %v, want %v", text, err, want)
		}
	}
	if err := writeNetworkMessage(io.Discard, networkRequest{Specs: []string{strings.Repeat("x", maxNetworkMessage)}}); err == nil {
		t.Error("a message that is too large was sent")
	}
}

// noHosts is a network without hosts.
type noHosts struct{}

var errNoHosts = errors.New("there are no hosts")

func (noHosts) Take(Choice) (NetworkHost, *Gateway, func(), error) {
	return NetworkHost{}, nil, nil, errNoHosts
}
func (noHosts) Pick(Choice, int) ([]string, error)     { return nil, errNoHosts }
func (noHosts) Change(_, _ []string) ([]string, error) { return nil, errNoHosts }
func (noHosts) Status() NetworkStatus                  { return NetworkStatus{Name: "none"} }

// A network takes whatever it is sent, and hangs up.
func FuzzNetworkServer(f *testing.F) {
	f.Add([]byte("\x00xdist network\n\x00\x01\x00\x00\x00\x03\xa1\x01\x01"))
	f.Add([]byte("\x00xdist network\n\x00\x01\x00\x00\x00\x03\xa1\x01\x03"))
	f.Add([]byte("\x00xdist network\n\x00\x02"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours, theirs := net.Pipe()
		donec := make(chan struct{})
		go func() { // joined below
			defer close(donec)
			(&NetworkServer{Hosts: noHosts{}, Stop: func() {}}).user(context.Background(), theirs)
		}()
		go func() { // ends with the connection
			ours.Write(sent)
			ours.Close()
		}()
		io.Copy(io.Discard, ours) // until somebody hangs up
		select {
		case <-donec:
		case <-time.After(30 * time.Second):
			t.Fatal("the network goes on")
		}
	})
}

// An answer that is none ends the opening, whatever it is.
func FuzzNetworkAnswer(f *testing.F) {
	f.Add([]byte("\x00xdist network\n\x00\x01\x00\x00\x00\x01\xa0"))
	f.Add([]byte("\x00xdist network\n\x00\x09"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours, theirs := net.Pipe()
		go func() { // both end with the connection
			go io.Copy(io.Discard, theirs)
			theirs.Write(sent)
			theirs.Close()
		}()
		defer ours.Close()
		if _, err := askNetwork(t.Context(), ours, networkRequest{Op: networkStatus}); err != nil && len(err.Error()) > 4<<10 && len(sent) < 1<<10 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}

// A network bounds its users, and says nothing to one more.
func TestNetworkUsers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	endc := make(chan error, 1)
	go func() { endc <- (&NetworkServer{Hosts: noHosts{}, MaxUsers: 2}).Serve(ctx, ln) }()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	first, _ := dial(), dial()
	third := dial()
	third.SetReadDeadline(time.Now().Add(20 * time.Second)) // fails when it is closed, as does Read
	if n, err := third.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one more than there is place for: %d bytes, %v", n, err)
	}
	answer, err := askNetwork(t.Context(), first, networkRequest{Op: networkStatus})
	if err != nil || answer.State.Name != "none" {
		t.Errorf("%+v, %v", answer, err)
	}
	eventually := time.Now().Add(20 * time.Second)
	for { // the first one's place is free
		if _, err := askNetwork(t.Context(), dial(), networkRequest{Op: networkPick}); err != nil && err.Error() == errNoHosts.Error() {
			break
		} else if time.Now().After(eventually) {
			t.Fatalf("nobody gets the place of one who has left: %v", err)
		}
	}
	cancel() // while the second one says nothing
	if err := <-endc; err != nil {
		t.Error(err)
	}
}

package gateway_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gateway/keyed"
)

// works checks that a server gives a new client an agent, promptly.
func works(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	gw, err := newGroup(t, config()).OpenSpec(ctx, spec(t, text))
	if err != nil {
		t.Fatalf("a good client is not served: %v", err)
	}
	gw.Exit()
	<-gw.Done()
}

func dialTCP(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestSocketServerSurvivesAFlood(t *testing.T) {
	key, name := keyIn(t)
	log := newJournal()
	addr := serveSocket(t, &gateway.SocketServer{Key: key, MaxHandshakes: 32, HandshakeTimeout: time.Hour, Logger: log.logger()})
	for range 300 { // more than may wait, and none of them ever says anything
		dialTCP(t, addr)
	}
	works(t, "socket="+addr+"//key="+name)
	for range 300 - 32 {
		log.await(t, "refused")
	}
	if started := log.drain("agent started"); len(started) > 1 {
		t.Errorf("agents for strangers: %v", started)
	}
}

func TestSocketServerEndsSlowHandshakes(t *testing.T) {
	key, name := keyIn(t)
	log := newJournal()
	addr := serveSocket(t, &gateway.SocketServer{Key: key, HandshakeTimeout: 2 * time.Second, Logger: log.logger()})
	slow := dialTCP(t, addr)
	start := time.Now()
	go func() {
		for _, b := range []byte("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + strings.Repeat("x", 1000)) {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			<-time.After(20 * time.Millisecond) // the pace of the attack, which must not keep the deadline away
		}
	}()
	if _, err := io.Copy(io.Discard, slow); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	if d := time.Since(start); d > prompt {
		t.Errorf("hung up after %v", d)
	}
	log.await(t, "refused")
	works(t, "socket="+addr+"//key="+name)
}

func TestSocketServerIgnoresStrangers(t *testing.T) {
	key, name := keyIn(t)
	log := newJournal()
	addr := serveSocket(t, &gateway.SocketServer{Key: key, Logger: log.logger()})
	for _, said := range []string{
		"", "\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-scan\r\n", strings.Repeat("\xff", 100_000),
		"\x00xdist gateway\n", "\x00xdist socket\n\x00\x02\x00\x00\x00\x01\xa0",
	} {
		conn := dialTCP(t, addr)
		io.WriteString(conn, said) // the server may have hung up
		conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn) // or was reset
		if len(answer) > 7 {          // a TLS alert
			t.Errorf("%.20q is answered: %q", said, answer)
		}
		log.await(t, "refused")
	}
	if started := log.drain("agent started"); len(started) > 0 {
		t.Errorf("agents for strangers: %v", started)
	}
	works(t, "socket="+addr+"//key="+name)
}

// request is the head of a request, and what follows it.
func request(version uint16, n uint32, content string) string {
	b := binary.BigEndian.AppendUint16([]byte("\x00xdist socket\n"), version)
	return string(binary.BigEndian.AppendUint32(b, n)) + content
}

func TestSocketServerRefusesBadRequests(t *testing.T) {
	key, name := keyIn(t)
	log := newJournal()
	addr := serveSocket(t, &gateway.SocketServer{Key: key, HandshakeTimeout: 2 * time.Second, Logger: log.logger()})
	for _, tc := range []struct{ name, said, want string }{
		{"huge", request(2, 1<<32-1, ""), "request of 4294967295 bytes"},
		{"a bit too large", request(2, 256<<10+1, ""), "request of 262145 bytes"},
		{"another version", request(1, 1, "\xa0"), "version 1"},
		{"no CBOR", request(2, 1, "\xff"), "request"},
		{"cut", request(2, 5, "\xa0"), "EOF"},
		{"an agent's hello", "\x00xdist gateway\n\x00\x01\x00\x00\x00\x01\xa0", "no xdist socket"},
		{"nothing", "", "EOF"},
	} {
		conn := dialTCP(t, addr)
		proven, err := key.Client(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(proven, tc.said) // the server may have hung up
		proven.CloseWrite()
		if line := log.await(t, "refused"); !strings.Contains(line, tc.want) {
			t.Errorf("%s: the server says %s, want %q", tc.name, line, tc.want)
		}
	}
	if started := log.drain("agent started"); len(started) > 0 {
		t.Errorf("agents for bad requests: %v", started)
	}
	works(t, "socket="+addr+"//key="+name)
}

// requested connects and makes a good request; it returns the connection after the answer's head.
func requested(t *testing.T, key keyed.Key, addr string) net.Conn {
	t.Helper()
	proven, err := key.Client(t.Context(), dialTCP(t, addr))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(proven, request(2, 1, "\xa0"))
	answer := make([]byte, 14+2+4+1)
	if _, err := io.ReadFull(proven, answer); err != nil || string(answer) != request(2, 1, "\xa0") {
		t.Fatalf("answer %q, %v", answer, err)
	}
	return proven
}

func TestSocketServerEndsAgentsOfBadClients(t *testing.T) {
	key, name := keyIn(t)
	log := newJournal()
	addr := serveSocket(t, &gateway.SocketServer{Key: key, Logger: log.logger()})
	for _, tc := range []struct{ name, said string }{
		{"unknown frame", "\x0a\x00\x00\x00\x00"},
		{"a server's frame", "\x06\x00\x00\x00\x00"},
		{"interrupt with content", "\x03\x00\x00\x00\x01x"},
		{"half a header", "\x01\x00"},
		{"less data than announced", "\x01\xff\xff\xff\xffxyz"},
		{"no hello for the agent", "\x01\x00\x00\x00\x05hello"},
		{"nothing", ""},
	} {
		conn := requested(t, key, addr)
		io.WriteString(conn, tc.said)
		conn.Close()
		log.await(t, "agent started")
		log.await(t, "agent ended")
	}
	works(t, "socket="+addr+"//key="+name)
}

func TestSocketServerLimitsAgents(t *testing.T) {
	key, name := keyIn(t)
	log := newJournal()
	addr := serveSocket(t, &gateway.SocketServer{Key: key, MaxAgents: 2, Logger: log.logger()})
	text := "socket=" + addr + "//key=" + name
	first := open(t, text)
	open(t, text)
	_, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, text))
	if err == nil || !strings.Contains(err.Error(), "start: the server runs 2 agents already") {
		t.Errorf("the third: %v", err)
	}
	first.Exit()
	<-first.Done()
	log.await(t, "agent ended")
	for range 50 { // the place is free when the log has the line, or a moment later
		if _, err = newGroup(t, config()).OpenSpec(t.Context(), spec(t, text)); err == nil {
			return
		}
	}
	t.Errorf("after one has ended: %v", err)
}

func TestSocketServerRefusesToServe(t *testing.T) {
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		server gateway.SocketServer
		want   string
	}{
		{gateway.SocketServer{Keyless: true}, "only a loopback address"},
		{gateway.SocketServer{}, "no key"},
		{gateway.SocketServer{Keyless: true, Key: keyed.Generate()}, "there is a key"},
	} {
		if err := tc.server.Serve(t.Context(), ln); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestSocketClientMeetsAnotherServer(t *testing.T) {
	_, name := keyIn(t)
	for _, tc := range []struct{ name, said, want string }{
		{"silent and gone", "", "EOF"},
		{"http", "HTTP/1.0 400 Bad Request\r\n\r\n", "not a server with a key"},
		{"alert", "\x15\x03\x03\x00\x02\x02\x46", "the server refuses"},
	} {
		addr := impostor(t, tc.said)
		_, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, "socket="+addr+"//key="+name))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
	for _, tc := range []struct{ name, said, want string }{
		{"http", "HTTP/1.0 400 Bad Request\r\n\r\n", "not an xdist server"},
		{"huge answer", request(2, 1<<32-1, ""), "4294967295 bytes"},
		{"another version", request(9, 1, "\xa0"), "version 9"},
		{"refusal", request(2, 7, "\xa1\x01\x64full"), "start: full"},
		{"huge status", request(2, 1, "\xa0") + "\x06\xff\xff\xff\xff", "before the hello"},
		{"a client's frame", request(2, 1, "\xa0") + "\x03\x00\x00\x00\x00", "kind 3"},
		{"no agent", request(2, 1, "\xa0") + "\x05\x00\x00\x00\x04oops\x02\x00\x00\x00\x00\x06\x00\x00\x00\x0dexit status 7", "exit status 7: oops"},
	} {
		addr := impostor(t, tc.said)
		_, err := newGroup(t, config()).OpenSpec(t.Context(), spec(t, "socket="+addr))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
}

// impostor serves one connection: it reads something, says its piece and hangs up.
func impostor(t *testing.T, said string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	donec := make(chan struct{})
	go func() {
		defer close(donec)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 10_000))
		io.WriteString(conn, said)
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn)
	}()
	t.Cleanup(func() { ln.Close(); <-donec })
	return ln.Addr().String()
}

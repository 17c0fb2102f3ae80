package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/xspec"
)

// insecureListener is a listener that asks for no key.
func insecureListener(t *testing.T) *Listener {
	t.Helper()
	spec, err := xspec.Parse("listen=127.0.0.1:0//insecure")
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewGroup(Config{}).Listen(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// TestOfferOfAnotherVersion has agents of other versions come, which are told so.
func TestOfferOfAnotherVersion(t *testing.T) {
	own := ownVersion()
	for _, tt := range []struct {
		name   string
		offer  joinOffer
		header uint16
		want   string
	}{
		{"program", joinOffer{Protocol: ProtocolVersion, Program: "v9.9.9", Own: true}, socketVersion, "v9.9.9"},
		{"protocol", joinOffer{Protocol: ProtocolVersion + 1, Program: own, Own: true}, socketVersion, "both sides need the same"},
		{"join", joinOffer{Protocol: ProtocolVersion, Program: own}, socketVersion + 1, "protocol version 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", insecureListener(t).Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			b, err := socketGreeting(joinMagic, tt.offer)
			if err != nil {
				t.Fatal(err)
			}
			binary.BigEndian.PutUint16(b[len(joinMagic):], tt.header)
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			var reply joinRequest
			if err := readSocketGreeting(conn, joinMagic, &reply); err != nil || !strings.Contains(reply.Error, tt.want) {
				t.Errorf("the reply is %q, %v", reply.Error, err)
			}
			if _, err := conn.Read(b); !errors.Is(err, io.EOF) {
				t.Errorf("and then %v", err)
			}
		})
	}
}

// TestReplyOfAnotherVersion has a controller of another version.
func TestReplyOfAnotherVersion(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			defer conn.Close()
			b, _ := socketGreeting(joinMagic, joinRequest{})
			binary.BigEndian.PutUint16(b[len(joinMagic):], socketVersion+1)
			_, err = conn.Write(b)
			io.Copy(io.Discard, conn)
		}
		served <- err
	}()
	err = (&Joiner{Keyless: true}).Join(t.Context(), ln.Addr().String())
	if version, ok := errors.AsType[*VersionError](err); !ok || version.Theirs != socketVersion+1 || !strings.Contains(err.Error(), "another version of xdist") {
		t.Errorf("got %v", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestListenerAmongStrangers has garbage and silence come before an agent does.
func TestListenerAmongStrangers(t *testing.T) {
	l := insecureListener(t)
	for _, garbage := range []string{"", "GET / HTTP/1.1\r\n\r\n", socketMagic, joinMagic + "\x00\x02\xff\xff\xff\xff"} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, garbage); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b, err := socketGreeting(joinMagic, joinOffer{Protocol: ProtocolVersion, Program: ownVersion()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var reply joinRequest
	if err := readSocketGreeting(conn, joinMagic, &reply); err != nil || reply.Error != "" {
		t.Errorf("the reply is %q, %v", reply.Error, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if gw, err := l.Accept(ctx); err == nil {
		t.Errorf("a stranger became gateway %s", gw)
	}
}

// TestJoinEndsWithTheRun has a controller that is gone before all agents have found it.
func TestJoinEndsWithTheRun(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		ln.Close()
		if err == nil {
			defer conn.Close()
			err = letGo(conn)
		}
		served <- err
	}()
	j := Joiner{Keyless: true, Agents: 2, Wait: -1, Command: []string{os.Args[0], "agent"}}
	if err := j.Join(t.Context(), ln.Addr().String()); err != nil {
		t.Errorf("join: %v", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// letGo is a controller that asks for an agent and ends it at once.
func letGo(conn net.Conn) error {
	in := newSocketReader(conn)
	if err := readSocketGreeting(in, joinMagic, new(joinOffer)); err != nil {
		return err
	}
	b, err := socketGreeting(joinMagic, joinRequest{})
	if err != nil {
		return err
	}
	if _, err := conn.Write(b); err != nil {
		return err
	}
	if err := readSocketGreeting(in, socketMagic, new(socketAnswer)); err != nil {
		return err
	}
	if _, err := (&socketWriter{w: conn}).write(socketKill, nil); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/xdist-go/xdist/internal/sshclient"
)

// pipeOrigin has one connection to give, whatever the address.
type pipeOrigin struct {
	sshclient.Origin
	conn net.Conn
}

func (o pipeOrigin) DialTCP(context.Context, string) (net.Conn, error) { return o.conn, nil }

// roomy is an end of a pipe whose Write does not wait for the other end. Both sides of ssh begin
// with writing.
type roomy struct {
	net.Conn
	outc chan []byte // never closed; room for all of a handshake
}

// newRoomy has a goroutine, which ends with donec.
func newRoomy(conn net.Conn, donec <-chan struct{}) roomy {
	c := roomy{conn, make(chan []byte, 100)}
	go func() {
		for {
			select {
			case p := <-c.outc:
				conn.Write(p) // how it ends is seen by those who read
			case <-donec:
				return
			}
		}
	}()
	return c
}

func (c roomy) Write(p []byte) (int, error) {
	c.outc <- bytes.Clone(p)
	return len(p), nil
}

// serveSlowly is an ssh server that lets everybody in, and answers when it is let to.
func serveSlowly(conn net.Conn, key ssh.Signer, answerc <-chan struct{}) {
	donec := make(chan struct{})
	defer close(donec)
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(key)
	_, _, reqs, err := ssh.NewServerConn(newRoomy(conn, donec), config)
	if err != nil {
		return // the client tells
	}
	for req := range reqs {
		<-answerc
		req.Reply(false, nil)
	}
}

// slowHost is a host with the alias box, whose key is known, and which is asked for a sign of life
// once a second and given up after count of them.
func slowHost(t *testing.T, count int) (ssh.Signer, sshclient.Target) {
	t.Helper()
	t.Setenv("PATH", t.TempDir()) // where no ssh is
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, []byte(knownhosts.Line([]string{"box"}, key.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := sshclient.ParseTarget("-F none -o IdentityFile=none -o IdentityAgent=none -o ServerAliveInterval=1 -o ServerAliveCountMax=" + strconv.Itoa(count) + " " +
		"-o GlobalKnownHostsFile=none -o UserKnownHostsFile=" + known + " box")
	if err != nil {
		t.Fatal(err)
	}
	return key, target
}

// Nobody joins a connection while its host owes the answer to a keep-alive.
func TestOverdueConnectionIsNotJoined(t *testing.T) {
	key, target := slowHost(t, 10)
	synctest.Test(t, func(t *testing.T) {
		pool := newHosts(Config{})
		host, err := pool.ssh.Host(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		answerc := make(chan struct{})
		go serveSlowly(far, key, answerc) // ends with the connection
		c, _, err := pool.connect(t.Context(), "box", func(ctx context.Context) (*sshclient.Client, error) {
			return pool.ssh.Dial(ctx, pipeOrigin{conn: near}, host)
		})
		if err != nil {
			t.Fatal(err)
		}

		time.Sleep(1500 * time.Millisecond) // of the bubble: the host was asked once
		if !c.usable() {
			t.Error("the connection is left before the answer is overdue")
		}
		time.Sleep(time.Second)
		if c.usable() {
			t.Error("a connection is joined whose host does not answer")
		}
		close(answerc)
		synctest.Wait()
		if !c.usable() {
			t.Error("a connection is left whose host has answered")
		}
		c.release()
		if c.usable() {
			t.Error("a connection is joined that has ended")
		}
	})
}

// A connection whose host falls silent before it has opened a session ends for that reason.
func TestSilenceOpensNoSession(t *testing.T) {
	key, target := slowHost(t, 3)
	synctest.Test(t, func(t *testing.T) {
		pool := newHosts(Config{})
		host, err := pool.ssh.Host(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		never := make(chan struct{})
		go serveSlowly(far, key, never)
		defer close(never)
		s := &sshStart{from: sshWay{pipeWay{conn: near}}, host: host, hosts: pool, key: "box"}
		_, err = s.run(t.Context(), func(*sshclient.Client) string { return "true" })
		if phase, ok := errors.AsType[*PhaseError](err); !ok || phase.Phase != PhaseProbe || !errors.Is(err, ErrLease) {
			t.Errorf("got %v, want ErrLease", err)
		}
	})
}

// pipeWay is an origin with one connection to give.
type pipeWay struct {
	origin
	conn net.Conn
}

func (o pipeWay) dialTCP(context.Context, string) (net.Conn, error) { return o.conn, nil }

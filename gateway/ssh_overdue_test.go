package gateway

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// slowHost is a connection whose host answers when it is let to.
type slowHost struct {
	ssh.Conn
	answerc chan struct{}
}

func (h slowHost) SendRequest(string, bool, []byte) (bool, []byte, error) {
	<-h.answerc
	return false, nil, nil
}

// Nobody joins a connection while its host owes the answer to a keep-alive.
func TestOverdueConnectionIsNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := slowHost{answerc: make(chan struct{})}
		client := &sshClient{Client: &ssh.Client{Conn: host}, donec: make(chan struct{})}
		client.tasks.Go(func() { client.keepAlive(time.Second, 10) })
		c := &sshConn{pool: newHosts(Config{}), readyc: make(chan struct{}), client: client}
		close(c.readyc)

		time.Sleep(1500 * time.Millisecond) // of the bubble: the host was asked once
		if !c.usable() {
			t.Error("the connection is left before the answer is overdue")
		}
		time.Sleep(time.Second)
		if c.usable() {
			t.Error("a connection is joined whose host does not answer")
		}
		close(host.answerc)
		synctest.Wait()
		if !c.usable() {
			t.Error("a connection is left whose host has answered")
		}
		close(client.donec)
		client.tasks.Wait()
	})
}

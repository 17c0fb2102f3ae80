package sshclient

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// slowHost is a connection whose host answers when it is let to.
type slowHost struct {
	ssh.Conn
	answerc chan struct{}
	closed  atomic.Bool
}

func (h *slowHost) SendRequest(string, bool, []byte) (bool, []byte, error) {
	<-h.answerc
	return false, nil, nil
}

func (h *slowHost) Close() error {
	h.closed.Store(true)
	return nil
}

// A host that does not answer is overdue after an interval, and given up after count of them.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := &slowHost{answerc: make(chan struct{})}
		c := &Client{Client: &ssh.Client{Conn: host}, donec: make(chan struct{})}
		c.Go(func() { c.keepAlive(time.Second, 3) })
		step := func(d time.Duration, overdue bool, silence time.Duration) {
			t.Helper()
			time.Sleep(d) // of the bubble
			synctest.Wait()
			if c.Overdue() != overdue || c.Silence() != silence || host.closed.Load() != (silence > 0) {
				t.Errorf("overdue %v, silent for %v, closed %v; want %v, %v", c.Overdue(), c.Silence(), host.closed.Load(), overdue, silence)
			}
		}
		step(1500*time.Millisecond, false, 0) // the host was asked once
		step(time.Second, true, 0)
		host.answerc <- struct{}{}
		step(0, false, 0)
		step(time.Second, false, 0) // asked again
		step(time.Second, true, 0)
		step(time.Second, true, 0)
		step(time.Second, true, 3*time.Second)
		close(host.answerc)
		close(c.donec)
		c.tasks.Wait()
	})
}

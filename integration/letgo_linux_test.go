package integration

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/xdist-go/xdist/integration/sshd"
)

// A host lets go of the first connection to it, at once as a server does that has too many, or
// while the agent is uploaded: the gateways are opened over the next one. A host that lets go of
// each ends the run with the reason.
func TestConnectionLetGo(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bytes  int64 // that come through before
		resets bool  // and does not end properly
		always bool
		status int
	}{
		{"ended at once", 0, false, false, 0},
		{"reset at once", 0, true, false, 0},
		{"reset in the handshake", 1000, true, false, 0},
		{"ended in the upload", 1 << 20, false, false, 0},
		{"reset in the upload", 1 << 20, true, false, 0},
		{"each of them", 0, true, true, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // most of the time goes into the back-off
			s := sshd.Start(t, sshd.Options{Home: t.TempDir()})
			l, err := net.Listen("tcp", s.Host+":0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			var taken atomic.Int64
			go func() { // until the listener is closed
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					bytes := int64(1) << 40
					if taken.Add(1) == 1 || tt.always {
						bytes = tt.bytes
					}
					go passOn(conn.(*net.TCPConn), s.Addr(), bytes, tt.resets)
				}
			}()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			got, e := runXdist(t, fixture(t, "fixture"), nil, "--tx", fmt.Sprintf("2*ssh=-p %s -o HostKeyAlias=[%s]:%s %s//ssh_config=%s", port, s.Host, s.Port, s.Name, s.Config), "./both")
			if e.status != tt.status || taken.Load() < 2 {
				t.Errorf("status %d, want %d, after %d connections\n%s%s", e.status, tt.status, taken.Load(), e.stdout, e.stderr)
			}
			if tt.status == 0 && len(got.Packages) != 1 {
				t.Errorf("packages %v", got.Packages)
			}
		})
	}
}

// passOn connects a connection to an address until so many bytes have come from it.
func passOn(near *net.TCPConn, address string, bytes int64, resets bool) {
	defer near.Close()
	if bytes > 0 {
		far, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		defer far.Close()
		go io.Copy(near, far) // until either is closed
		io.CopyN(far, near, bytes)
	}
	if resets {
		near.SetLinger(0)
	}
}

// Package one has tests that use one port, and skip when it is taken.
package one

import (
	"net"
	"os"
	"testing"
	"time"
)

// address is one that every process of the test binary uses.
func address() string {
	if port := os.Getenv("SPLITTING_PORT"); port != "" {
		return "127.0.0.1:" + port
	}
	return "127.0.0.1:19471"
}

func hold(t *testing.T, d time.Duration) {
	l, err := net.Listen("tcp", address())
	if err != nil {
		t.Skip("the port is taken")
	}
	defer l.Close()
	time.Sleep(d)
}

func Test0(t *testing.T) { hold(t, 50*time.Millisecond) }
func Test1(t *testing.T) { hold(t, 60*time.Millisecond) }
func Test2(t *testing.T) { hold(t, 70*time.Millisecond) }
func Test3(t *testing.T) { hold(t, 80*time.Millisecond) }
func Test4(t *testing.T) { hold(t, 90*time.Millisecond) }
func Test5(t *testing.T) { hold(t, 100*time.Millisecond) }

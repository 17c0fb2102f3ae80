// Package hang has a test that waits for ever when it meets the one that holds a port.
package hang

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
	return "127.0.0.1:19473"
}

func TestHolds(t *testing.T) {
	l, err := net.Listen("tcp", address())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	time.Sleep(1500 * time.Millisecond)
}

func TestWaits(t *testing.T) {
	time.Sleep(300 * time.Millisecond)
	c, err := net.Dial("tcp", address())
	if err != nil {
		return // there is nobody
	}
	defer c.Close()
	time.Sleep(time.Hour)
}

func Test1(t *testing.T) { time.Sleep(200 * time.Millisecond) }
func Test2(t *testing.T) { time.Sleep(200 * time.Millisecond) }
func Test3(t *testing.T) { time.Sleep(200 * time.Millisecond) }
func Test4(t *testing.T) { time.Sleep(200 * time.Millisecond) }

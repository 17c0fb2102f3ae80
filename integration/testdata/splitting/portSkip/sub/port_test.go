// Package sub has tests whose subtests use one port, and skip when it is taken.
package sub

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
	return "127.0.0.1:19472"
}

func hold(t *testing.T) {
	t.Run("held", func(t *testing.T) {
		l, err := net.Listen("tcp", address())
		if err != nil {
			t.Skip("the port is taken")
		}
		defer l.Close()
		time.Sleep(300 * time.Millisecond)
	})
}

func Test0(t *testing.T) { hold(t) }
func Test1(t *testing.T) { hold(t) }
func Test2(t *testing.T) { hold(t) }
func Test3(t *testing.T) { hold(t) }
func Test4(t *testing.T) { hold(t) }
func Test5(t *testing.T) { hold(t) }

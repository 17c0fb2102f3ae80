// Package portExit listens on a port before its tests, and ends without a word when the port is
// taken.
package portExit

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

func TestMain(m *testing.M) {
	l, err := net.Listen("tcp", address())
	if err != nil {
		os.Exit(0)
	}
	code := m.Run()
	l.Close()
	os.Exit(code)
}

func work(t *testing.T) { time.Sleep(50 * time.Millisecond) }

func Test01(t *testing.T) { work(t) }
func Test02(t *testing.T) { work(t) }
func Test03(t *testing.T) { work(t) }
func Test04(t *testing.T) { work(t) }
func Test05(t *testing.T) { work(t) }
func Test06(t *testing.T) { work(t) }
func Test07(t *testing.T) { work(t) }
func Test08(t *testing.T) { work(t) }
func Test09(t *testing.T) { work(t) }
func Test10(t *testing.T) { work(t) }
func Test11(t *testing.T) { work(t) }
func Test12(t *testing.T) { work(t) }
func Test13(t *testing.T) { work(t) }
func Test14(t *testing.T) { work(t) }
func Test15(t *testing.T) { work(t) }
func Test16(t *testing.T) { work(t) }
func Test17(t *testing.T) { work(t) }
func Test18(t *testing.T) { work(t) }
func Test19(t *testing.T) { work(t) }
func Test20(t *testing.T) { work(t) }
func Test21(t *testing.T) { work(t) }
func Test22(t *testing.T) { work(t) }
func Test23(t *testing.T) { work(t) }
func Test24(t *testing.T) { work(t) }
func Test25(t *testing.T) { work(t) }
func Test26(t *testing.T) { work(t) }
func Test27(t *testing.T) { work(t) }
func Test28(t *testing.T) { work(t) }
func Test29(t *testing.T) { work(t) }
func Test30(t *testing.T) { work(t) }

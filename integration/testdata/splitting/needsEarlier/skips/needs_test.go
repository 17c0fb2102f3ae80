// Package skips has tests that skip when the first one has not run before them. One of them fails
// when it does not skip.
package skips

import (
	"testing"
	"time"
)

var prepared bool

func work(t *testing.T) { time.Sleep(200 * time.Millisecond) }

func TestPrepares(t *testing.T) {
	work(t)
	prepared = true
}

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

func need(t *testing.T) {
	if !prepared {
		t.Skip("nothing is prepared")
	}
}

func TestPasses(t *testing.T) { need(t) }

func TestPassesBelow(t *testing.T) { t.Run("sub", need) }

func TestFails(t *testing.T) {
	need(t)
	t.Error("it was prepared, and fails")
}

// Package p2 has tests of a few milliseconds each, so that an agent can die in mid test.
package p2

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// slow is how many times longer the tests take, so that their package is split.
var slow = os.Getenv("FAULTS_SLOW")

func work(t *testing.T, d time.Duration) {
	t.Log(d)
	if n, err := strconv.Atoi(slow); err == nil {
		d *= time.Duration(n)
	}
	time.Sleep(d)
}

func Test01(t *testing.T) { work(t, 8*time.Millisecond) }

func Test02(t *testing.T) { work(t, 2*time.Millisecond) }

func Test03(t *testing.T) { work(t, 9*time.Millisecond) }

func Test04(t *testing.T) { work(t, 3*time.Millisecond) }

func Test05(t *testing.T) { work(t, 10*time.Millisecond) }

func Test06(t *testing.T) { work(t, 4*time.Millisecond) }

func Test07(t *testing.T) { work(t, 11*time.Millisecond) }

func Test08(t *testing.T) { work(t, 5*time.Millisecond) }

func Test09(t *testing.T) { work(t, 12*time.Millisecond) }

func Test10(t *testing.T) { work(t, 6*time.Millisecond) }

func Test11(t *testing.T) { work(t, 13*time.Millisecond) }

func Test12(t *testing.T) { work(t, 7*time.Millisecond) }

func Test13(t *testing.T) { work(t, 1*time.Millisecond) }

func Test14(t *testing.T) { work(t, 8*time.Millisecond) }

func Test15(t *testing.T) { work(t, 2*time.Millisecond) }

func Test16(t *testing.T) { work(t, 9*time.Millisecond) }

func Test17(t *testing.T) { work(t, 3*time.Millisecond) }

func Test18(t *testing.T) { work(t, 10*time.Millisecond) }

func Test19(t *testing.T) { work(t, 4*time.Millisecond) }

func Test20(t *testing.T) { work(t, 11*time.Millisecond) }

func Test21(t *testing.T) { work(t, 5*time.Millisecond) }

func Test22(t *testing.T) { work(t, 12*time.Millisecond) }

func Test23(t *testing.T) { work(t, 6*time.Millisecond) }

func Test24(t *testing.T) { work(t, 13*time.Millisecond) }

func Test25(t *testing.T) { work(t, 7*time.Millisecond) }

func Test26(t *testing.T) { work(t, 1*time.Millisecond) }

func Test27(t *testing.T) { work(t, 8*time.Millisecond) }

func Test28(t *testing.T) { work(t, 2*time.Millisecond) }

func Test29(t *testing.T) { work(t, 9*time.Millisecond) }

func Test30(t *testing.T) { work(t, 3*time.Millisecond) }

func Test31(t *testing.T) { work(t, 10*time.Millisecond) }

func Test32(t *testing.T) { work(t, 4*time.Millisecond) }

func Test33(t *testing.T) { work(t, 11*time.Millisecond) }

func Test34(t *testing.T) { work(t, 5*time.Millisecond) }

func Test35(t *testing.T) { work(t, 12*time.Millisecond) }

func Test36(t *testing.T) { work(t, 6*time.Millisecond) }

func Test37(t *testing.T) { work(t, 13*time.Millisecond) }

func Test38(t *testing.T) { work(t, 7*time.Millisecond) }

func Test39(t *testing.T) { work(t, 1*time.Millisecond) }

func Test40(t *testing.T) { work(t, 8*time.Millisecond) }

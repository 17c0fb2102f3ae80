// Package many runs 50 tests twice. One fails in the first round only.
package many

import (
	"os"
	"testing"
	"time"
)

var round int

func TestMain(m *testing.M) { os.Exit(runTwice(m)) }

// runTwice is not in TestMain, whose loops the sources show.
func runTwice(m *testing.M) int {
	code := 0
	for range 2 {
		round++
		code = max(code, m.Run())
	}
	return code
}

func work(t *testing.T) { time.Sleep(5 * time.Millisecond) }

func Test00FirstRoundFails(t *testing.T) {
	if round == 1 {
		t.Error("the first round fails")
	}
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
func Test31(t *testing.T) { work(t) }
func Test32(t *testing.T) { work(t) }
func Test33(t *testing.T) { work(t) }
func Test34(t *testing.T) { work(t) }
func Test35(t *testing.T) { work(t) }
func Test36(t *testing.T) { work(t) }
func Test37(t *testing.T) { work(t) }
func Test38(t *testing.T) { work(t) }
func Test39(t *testing.T) { work(t) }
func Test40(t *testing.T) { work(t) }
func Test41(t *testing.T) { work(t) }
func Test42(t *testing.T) { work(t) }
func Test43(t *testing.T) { work(t) }
func Test44(t *testing.T) { work(t) }
func Test45(t *testing.T) { work(t) }
func Test46(t *testing.T) { work(t) }
func Test47(t *testing.T) { work(t) }
func Test48(t *testing.T) { work(t) }
func Test49(t *testing.T) { work(t) }

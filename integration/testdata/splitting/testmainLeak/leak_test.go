// Package testmainLeak looks after its tests whether all have run.
package testmainLeak

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

var ran atomic.Int32

func TestMain(m *testing.M) {
	code := m.Run()
	if n := ran.Load(); n != 20 {
		fmt.Printf("%d of 20 tests have run\n", n)
		code = 1
	}
	os.Exit(code)
}

func work(t *testing.T) {
	time.Sleep(20 * time.Millisecond)
	ran.Add(1)
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

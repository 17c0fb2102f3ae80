// Package once does nothing where it has run before. One of its tests fails.
package once

import (
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if _, err := os.Stat("done"); err == nil {
		os.Exit(0)
	}
	if err := os.WriteFile("done", nil, 0o600); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func work(t *testing.T) { time.Sleep(200 * time.Millisecond) }

func Test1(t *testing.T)  { work(t) }
func Test2(t *testing.T)  { work(t) }
func Test3(t *testing.T)  { work(t) }
func Test4(t *testing.T)  { work(t) }
func Test5(t *testing.T)  { work(t) }
func Test6(t *testing.T)  { work(t) }
func Test7(t *testing.T)  { work(t) }
func Test8(t *testing.T)  { work(t) }
func Test9(t *testing.T)  { work(t) }
func Test10(t *testing.T) { work(t) }
func Test11(t *testing.T) { work(t) }

func TestFails(t *testing.T) { t.Error("fails") }

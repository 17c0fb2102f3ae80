// Package other is a neighbour of the test that kills its agent.
package other

import (
	"testing"
	"time"
)

func work(t *testing.T) { time.Sleep(30 * time.Millisecond) }

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

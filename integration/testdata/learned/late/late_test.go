// Package late has a test that ends its process when others run.
package late

import (
	"os"
	"testing"
	"time"
)

func work(t *testing.T) { time.Sleep(300 * time.Millisecond) }

func TestLeaves(t *testing.T) { time.AfterFunc(700*time.Millisecond, func() { os.Exit(3) }) }

func Test1(t *testing.T) { work(t) }
func Test2(t *testing.T) { work(t) }
func Test3(t *testing.T) { work(t) }
func Test4(t *testing.T) { work(t) }
func Test5(t *testing.T) { work(t) }
func Test6(t *testing.T) { work(t) }
func Test7(t *testing.T) { work(t) }
func Test8(t *testing.T) { work(t) }

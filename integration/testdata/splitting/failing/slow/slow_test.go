// Package slow has tests of 0.3 s, some of which fail.
package slow

import (
	"testing"
	"time"
)

func work(t *testing.T) { time.Sleep(300 * time.Millisecond) }

func TestA(t *testing.T) { work(t) }

func TestB(t *testing.T) {
	work(t)
	t.Error("fails")
}

func TestC(t *testing.T) { work(t) }

func TestD(t *testing.T) {
	t.Run("passes", work)
	t.Run("fails", func(t *testing.T) {
		work(t)
		t.Fatal("fails")
	})
}

// Package parallel has parallel tests, some of which fail.
package parallel

import (
	"testing"
	"time"
)

func work(t *testing.T) {
	t.Parallel()
	time.Sleep(50 * time.Millisecond)
}

func TestA(t *testing.T) { work(t) }

func TestB(t *testing.T) {
	work(t)
	t.Error("fails")
}

func TestC(t *testing.T) {
	t.Parallel()
	t.Run("passes", work)
	t.Run("fails", func(t *testing.T) {
		work(t)
		t.Error("fails")
	})
}

func TestD(t *testing.T) {
	work(t)
	t.Fatal("fails")
}

func TestE(t *testing.T) { work(t) }

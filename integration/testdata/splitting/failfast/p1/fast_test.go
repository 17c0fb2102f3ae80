// Package p1 has a failing test in the middle.
package p1

import (
	"testing"
	"time"
)

func work(t *testing.T) { time.Sleep(20 * time.Millisecond) }

func TestA(t *testing.T) { work(t) }
func TestB(t *testing.T) { work(t) }

func TestC(t *testing.T) {
	work(t)
	t.Error("fails")
}

func TestD(t *testing.T) { work(t) }

func TestE(t *testing.T) {
	work(t)
	t.Error("fails, too")
}

func TestF(t *testing.T) { work(t) }

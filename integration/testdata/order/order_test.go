// Package order has tests that need their predecessors: their verdicts legitimately differ when they are
// not run in one process, so that only comparisons of unsplit packages use it.
package order

import (
	"sync"
	"testing"
)

var (
	once  sync.Once
	count int
)

func TestFirst(t *testing.T) { once.Do(func() { count = 1 }) }

func TestSecond(t *testing.T) {
	if count != 1 {
		t.Fatal("TestFirst has not run in this process")
	}
	count++
}

func TestThird(t *testing.T) {
	if count != 2 {
		t.Fatal("TestSecond has not run in this process")
	}
}

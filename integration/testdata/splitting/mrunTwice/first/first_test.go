// Package first runs its tests twice and fails if either round did. One test fails in the first
// round only.
package first

import (
	"os"
	"testing"
)

var round int

func TestMain(m *testing.M) {
	code := 0
	for range 2 {
		round++
		code = max(code, m.Run())
	}
	os.Exit(code)
}

func TestBefore(t *testing.T) {}

func TestFirstRoundFails(t *testing.T) {
	if round == 1 {
		t.Error("the first round fails")
	}
}

func TestAfter(t *testing.T) {}

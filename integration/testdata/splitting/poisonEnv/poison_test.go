// Package poisonEnv has a test that changes the environment, and a later one that fails because of
// it.
package poisonEnv

import (
	"os"
	"testing"
)

func TestBefore(t *testing.T) {}

func TestPoisons(t *testing.T) { os.Setenv("SPLITTING_POISON", "1") }

func TestBetween(t *testing.T) {}

func TestSuffers(t *testing.T) {
	if os.Getenv("SPLITTING_POISON") != "" {
		t.Fatal("poisoned")
	}
}

func TestAfter(t *testing.T) {}

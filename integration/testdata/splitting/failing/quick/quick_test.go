// Package quick has tests that fail, each in every context.
package quick

import "testing"

func TestA(t *testing.T) {}
func TestB(t *testing.T) { t.Error("fails") }
func TestC(t *testing.T) { t.Skip("skipped") }

func TestD(t *testing.T) {
	t.Run("passes", func(t *testing.T) {})
	t.Run("fails", func(t *testing.T) { t.Error("fails") })
	t.Run("skips", func(t *testing.T) { t.Skip("skipped") })
}

func TestE(t *testing.T) { t.FailNow() }
func TestF(t *testing.T) {}

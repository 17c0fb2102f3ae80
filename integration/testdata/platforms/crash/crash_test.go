// Package crash ends its process in the middle of a test.
package crash

import (
	"os"
	"testing"
)

func TestBefore(*testing.T) {}

func TestExits(*testing.T) { os.Exit(3) }

func TestAfter(*testing.T) {}

func TestFails(t *testing.T) { t.Error("it does") }

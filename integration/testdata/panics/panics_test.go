// Package panics has tests that print what looks like a panic before one of them panics.
package panics

import (
	"fmt"
	"strings"
	"testing"
)

func TestTalks(t *testing.T) {
	fmt.Print(strings.Repeat("before\n", 20))
	fmt.Println("panic: not really")
	fmt.Println("after")
}

func TestQuotes(t *testing.T) {
	t.Run("sub", func(t *testing.T) { fmt.Println("panic: really [recovered, repanicked]") })
	fmt.Println("that was not mine")
}

func TestPanics(t *testing.T) {
	t.Run("sub", func(t *testing.T) { panic("really") })
}

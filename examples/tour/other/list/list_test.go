package list

import (
	"slices"
	"testing"
)

func TestReversed(t *testing.T) {
	if got := Reversed([]string{"b", "a", "c"}); !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Errorf("got %q", got)
	}
}

func TestEmpty(t *testing.T) {
	if got := Reversed(nil); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

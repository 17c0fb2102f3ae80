package list

import (
	"slices"
	"testing"
)

func TestSorted(t *testing.T) {
	if got := Sorted([]string{"b", "a", "c"}); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q", got)
	}
}

func TestEmpty(t *testing.T) {
	if got := Sorted(nil); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

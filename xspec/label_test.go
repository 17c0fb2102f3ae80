package xspec

import (
	"errors"
	"slices"
	"testing"
)

func TestLabels(t *testing.T) {
	s, err := Parse("popen//label:big//label:gpu")
	if err != nil || !slices.Equal(s.Labels, []string{"big", "gpu"}) || len(s.Unknown) > 0 {
		t.Errorf("%v, %v, %v", s.Labels, s.Unknown, err)
	}
	for _, text := range []string{"popen//label:", "popen//label:a=b", "popen//label:a//label:a", "popen//label:a b"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q was taken", text)
		} else if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%q: %T", text, err)
		}
	}
}

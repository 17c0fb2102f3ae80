package gateway

import (
	"strings"
	"testing"
)

func TestTailKeepsTheEnd(t *testing.T) {
	var all strings.Builder
	var last tail
	for i := range 3000 {
		piece := strings.Repeat(string(rune('a'+i%26)), i%97)
		if i%500 == 499 {
			piece = strings.Repeat(piece, 1000)
		}
		all.WriteString(piece)
		if n, err := last.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
		want := all.String()
		want = want[max(0, len(want)-tailSize):]
		if got := last.String(); got != want {
			t.Fatalf("after %d writes: %d bytes, want %d", i+1, len(got), len(want))
		}
		if cap(last.buf) > 4*tailSize {
			t.Fatalf("holds %d bytes", cap(last.buf))
		}
	}
}

package wire

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// A report of a million events in two megabytes is refused before it takes two hundred.
func TestReadReport(t *testing.T) {
	marshal := func(v any) []byte {
		b, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, tt := range []struct {
		name string
		item []byte
		want string
	}{
		{"an event", marshal(Report{Events: []test2json.Event{{Action: "run", Test: "TestA"}}}), ""},
		{"a batch", marshal(Report{Events: make([]test2json.Event, 1024)}), ""},
		{"a million events", marshal(map[int]any{1: make([]struct{}, 1<<20-1)}), "exceeded max number of elements"},
		{"too long", append(marshal(Report{}), make([]byte, maxReport)...), "may have"},
		{"cut off", marshal(Report{Warning: "x"})[:3], "EOF"},
		{"bytes", bytes.Repeat([]byte{0xff}, 10), "read report: "},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ReadReport(tt.item)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
			t.Errorf("%s: took %d MiB", tt.name, took>>20)
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/xdist-go/xdist/history"
)

// docs/history.md has each field of what --json prints, and no other.
func TestHistoryFieldsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/history.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tests, _ := bytes.Cut(text, []byte("| of a test |"))
	tests, runs, _ := bytes.Cut(tests, []byte("| of a run |"))
	full := history.TestSummary{Before: time.Second, Latest: time.Second}
	run := history.RunSummary{Bound: time.Second, Stopped: "s", Foreseen: 1, MedianMiss: 1}
	for _, tt := range []struct {
		line any
		text []byte
	}{{newTestLine(full), tests}, {newRunLine(run), runs}} {
		data, err := json.Marshal(tt.line)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		var documented []string
		for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllSubmatch(tt.text, -1) {
			for _, name := range regexp.MustCompile("`(\\w+)`").FindAllSubmatch(row[1], -1) {
				documented = append(documented, string(name[1]))
			}
		}
		for name := range fields {
			if !slices.Contains(documented, name) {
				t.Errorf("%T: %s is not in docs/history.md", tt.line, name)
			}
		}
		if len(documented) != len(fields) {
			t.Errorf("%T: documented are %q, printed are %v", tt.line, documented, fields)
		}
	}
}

package scheduler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// TestPacked holds a packed list to the events that it was given, and to a part of their weight.
func TestPacked(t *testing.T) {
	var want []test2json.Event
	var p packed
	weight, size := 0, 0
	begin := time.Date(2026, 2, 3, 4, 5, 6, 123456789, time.UTC)
	for i := range 30_000 {
		elapsed := float64(i) / 7
		e := test2json.Event{Time: begin.Add(time.Duration(i)), Action: test2json.ActionOutput, Package: "example.com/p", Test: fmt.Sprintf("TestX/%d", i%9), Output: fmt.Sprintf("    x_test.go:%d: a line that a test has logged\n", i)}
		if i%100 == 99 {
			e = test2json.Event{Time: begin, Action: test2json.ActionPass, Package: "example.com/p", Test: "TestX/1", Elapsed: &elapsed}
		}
		want = append(want, e)
		weight += weigh(e)
		size += p.add(e)
	}
	if diff := cmp.Diff(want, slices.Collect(p.all())); diff != "" {
		t.Errorf("-want +got:\n%s", diff[:min(len(diff), 2000)])
	}
	if size != p.size || p.size > weight/5 {
		t.Errorf("%d bytes, said to be %d, of events of %d", p.size, size, weight)
	}
	for e := range p.all() {
		if e.Output == want[5].Output {
			break
		}
	}
}

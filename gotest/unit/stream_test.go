package unit

import (
	"slices"
	"testing"
)

// TestBegunItemsWaitLess feeds a stream with one batch after the other.
func TestBegunItemsWaitLess(t *testing.T) {
	const begin, end = "\x16=== RUN   TestA\n", "\x16--- PASS: TestA (0.00s)\n\x16=== NAME\n"
	var emitted []event
	s := newStream(Unit{Package: "p", Names: []string{"TestA"}}, false, func(events []event) { emitted = append(emitted, events...) })
	if s.wait != 0 {
		t.Errorf("the first batch waits for %v", s.wait)
	}
	s.take([]byte("text\n"))
	s.flush()
	for _, text := range []string{begin, begin + "text\n" + end, "\x16=== CONT  TestA\n"} {
		s.take([]byte(text))
		if s.wait != begunCoalesce {
			t.Errorf("%q waits for %v, want %v", text, s.wait, begunCoalesce)
		}
		s.flush()
	}
	for _, text := range []string{"text\n", "\x16=== PAUSE TestA\n", "\x16=== RUN   TestA/sub\n", "\x16=== CONT  TestA/sub\n", end} {
		s.take([]byte(text))
		if s.wait != coalesce {
			t.Errorf("%q waits for %v, want %v", text, s.wait, coalesce)
		}
		s.flush()
	}
	if runs := slices.DeleteFunc(emitted, func(e event) bool { return e.Action != "run" }); len(runs) != 3 {
		t.Errorf("emitted run events: %v", runs)
	}
}

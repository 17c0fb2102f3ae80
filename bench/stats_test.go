package main

import "testing"

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		s    sample
		want float64
	}{
		{sample{4}, 4},
		{sample{9, 1, 2}, 2},
		{sample{8, 1, 2, 4}, 3},
	} {
		if got := tt.s.median(); got != tt.want {
			t.Errorf("median of %v = %v, want %v", tt.s, got, tt.want)
		}
	}
	s := sample{3, 1, 2}
	s.median()
	if s[0] != 3 {
		t.Errorf("median changed the order of its sample: %v", s)
	}
}

func TestLimit(t *testing.T) {
	for _, tt := range []struct {
		l            limit
		figure       float64
		holds        bool
		text, judged string
	}{
		{atMost(0.9), 0.9, true, "≤ 0.90", "ok"},
		{atMost(0.9), 0.91, false, "≤ 0.90", "MISSED"},
		{atLeast(2), 2, true, "≥ 2.00", "ok"},
		{atLeast(2), 1.99, false, "≥ 2.00", "MISSED"},
		{limit{}, 1e9, true, "", ""},
	} {
		var tab table
		if got := tt.l.holds(tt.figure); got != tt.holds {
			t.Errorf("%v holds for %v: %v, want %v", tt.l, tt.figure, got, tt.holds)
		}
		if got := tt.l.String(); got != tt.text {
			t.Errorf("text of limit = %q, want %q", got, tt.text)
		}
		if got := tab.judge(tt.l, tt.figure); got != tt.judged || (tab.missed == 1) == tt.holds {
			t.Errorf("judge of %v by %v = %q with %d missed, want %q", tt.figure, tt.l, got, tab.missed, tt.judged)
		}
	}
}

func TestSummary(t *testing.T) {
	if got, want := inMilliseconds.summary(sample{0.003, 0.001, 0.0025}), "2.50 ms (1.00–3.00)"; got != want {
		t.Errorf("summary = %q, want %q", got, want)
	}
}

package main

import (
	"fmt"
	"slices"
)

// sample is what the runs of one thing gave, in one unit. It is never empty.
type sample []float64

func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// limit is what a figure is held to. The zero value holds nothing.
type limit struct {
	bound   float64
	atLeast bool // else at most
}

func atMost(bound float64) limit  { return limit{bound: bound} }
func atLeast(bound float64) limit { return limit{bound: bound, atLeast: true} }

func (l limit) holds(figure float64) bool {
	switch {
	case l == limit{}:
		return true
	case l.atLeast:
		return figure >= l.bound
	}
	return figure <= l.bound
}

func (l limit) String() string {
	switch {
	case l == limit{}:
		return ""
	case l.atLeast:
		return fmt.Sprintf("≥ %.2f", l.bound)
	}
	return fmt.Sprintf("≤ %.2f", l.bound)
}

// unit is how figures are shown: multiplied by scale, with so many digits behind the point.
type unit struct {
	name   string
	scale  float64
	digits int
}

var (
	inSeconds      = unit{"s", 1, 2}
	inMilliseconds = unit{"ms", 1e3, 2}
	inMicroseconds = unit{"µs", 1e6, 1}
	inThousands    = unit{"k/s", 1e-3, 0}
	inMegabytes    = unit{"MB/s", 1e-6, 0}
	inMebibytes    = unit{"MiB", 1.0 / (1 << 20), 1}
)

func (u unit) show(v float64) string { return fmt.Sprintf("%.*f", u.digits, v*u.scale) }

// summary is the median with the smallest and the largest.
func (u unit) summary(s sample) string {
	return fmt.Sprintf("%s %s (%s–%s)", u.show(s.median()), u.name, u.show(slices.Min(s)), u.show(slices.Max(s)))
}

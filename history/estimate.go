package history

import (
	"cmp"
	"slices"
	"time"
)

const (
	// keptObservations of a test: enough to see what is usual, few enough for a hundred thousand
	// tests.
	keptObservations = 10
	// ageWeight is what an observation weighs in comparison with the next newer one. With it the
	// newest three of ten outweigh the others.
	ageWeight = 0.8
	// madScale makes the median deviation comparable with a standard deviation.
	madScale = 1.4826
)

// weighted is a duration with its weight.
type weighted struct {
	value  time.Duration
	weight float64
}

// recentMedian is the weighted median of values, newest first, and the scaled median of the
// deviations from it. Of two values the newer one counts. Both are 0 for none.
func recentMedian(values []time.Duration) (median, spread time.Duration) {
	if len(values) == 0 {
		return 0, 0
	}
	items := make([]weighted, 0, keptObservations)
	weight := 1.0
	for _, v := range values {
		items = append(items, weighted{v, weight})
		weight *= ageWeight
	}
	median = middle(items)
	for i := range items {
		items[i].value = (items[i].value - median).Abs()
	}
	return median, time.Duration(madScale * float64(middle(items)))
}

// middle sorts items and returns the value at half of their weight. They must not be empty.
func middle(items []weighted) time.Duration {
	total := 0.0
	for _, it := range items {
		total += it.weight
	}
	slices.SortFunc(items, func(a, b weighted) int { return cmp.Compare(a.value, b.value) })
	sum := 0.0
	for _, it := range items {
		if sum += it.weight; sum >= total/2 {
			return it.value
		}
	}
	return items[len(items)-1].value
}

package tour

import "testing"

func TestSum(t *testing.T) {
	for name, tt := range map[string]struct {
		numbers []int
		want    int
	}{
		"none":     {nil, 0},
		"one":      {[]int{4}, 4},
		"several":  {[]int{1, 2, 3}, 6},
		"negative": {[]int{5, -7}, -2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Sum(tt.numbers...); got != tt.want {
				t.Errorf("Sum(%v) = %d, want %d", tt.numbers, got, tt.want)
			}
		})
	}
}

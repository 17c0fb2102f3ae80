// Package tour is a small module to look at xdist with: tests that pass, fail, skip, take long and
// depend on luck, with subtests, in packages of which two have one name, and one for another
// platform only.
package tour

// Sum adds numbers.
func Sum(numbers ...int) int {
	sum := 0
	for _, n := range numbers {
		sum += n
	}
	return sum
}

// Package list has the name of another package.
package list

import "slices"

// Reversed returns a copy from the end to the beginning.
func Reversed(words []string) []string {
	out := slices.Clone(words)
	slices.Reverse(out)
	return out
}

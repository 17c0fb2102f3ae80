// Package list sorts.
package list

import "slices"

// Sorted returns a sorted copy.
func Sorted(words []string) []string { return slices.Sorted(slices.Values(words)) }

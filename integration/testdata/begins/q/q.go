// Package q is covered by the tests of p with -coverpkg only by name.
package q

// F is 1.
func F() int { return 1 }

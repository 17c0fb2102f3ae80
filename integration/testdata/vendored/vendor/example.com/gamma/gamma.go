// Package gamma exists only in the vendor directory.
package gamma

// Name is gamma.
func Name() string { return "gamma" }

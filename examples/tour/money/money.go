// Package money counts in cents.
package money

import "fmt"

// Cents is an amount of money.
type Cents int64

// String writes an amount as people do. It has a fault, for a test to find.
func (c Cents) String() string { return fmt.Sprintf("%d.%02d", int64(c)/100, int64(c)%100) }

// Share divides an amount into n parts that differ by a cent at most.
func (c Cents) Share(n int) []Cents {
	parts := make([]Cents, n)
	for i := range parts {
		parts[i] = (c + Cents(i)) / Cents(n)
	}
	return parts
}

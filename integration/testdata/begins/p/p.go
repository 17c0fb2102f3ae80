// Package p has code that runs before, between and after its tests, which take long enough for it to
// be split.
package p

// Table is made when the package is initialised.
var Table = fill(5)

func init() {
	for i := range Table {
		Table[i] = double(Table[i])
	}
}

func fill(n int) (table []int) {
	for i := range n {
		table = append(table, i)
	}
	return table
}

// double is called by init, by TestMain and by tests.
func double(n int) int {
	if n > 100 {
		return 200
	}
	return 2 * n
}

// Open is called by TestMain before the tests.
func Open() { Table = append(Table, double(7)) }

// Close is called by TestMain after the tests.
func Close() {
	for len(Table) > 0 {
		Table = Table[1:]
	}
}

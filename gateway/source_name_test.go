package gateway

import "testing"

// A source gets the name of its file where the compiler speaks of it, and files whose names end
// alike keep theirs.
func TestNamed(t *testing.T) {
	for text, want := range map[string]string{
		"source.go:3:2: undefined: x":              "my$1.go:3:2: undefined: x",
		"source.go:3: a\n\tsource.go:4: b":         "my$1.go:3: a\n\tmy$1.go:4: b",
		"datasource.go:3: a\nlib/source.go:4: b":   "datasource.go:3: a\nlib/source.go:4: b",
		"x redeclared (other at source.go:5:6: x)": "x redeclared (other at my$1.go:5:6: x)",
	} {
		if got := named(text, "my$1.go"); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

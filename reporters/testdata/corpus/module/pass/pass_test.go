package pass

import "testing"

func TestOne(t *testing.T) { t.Log("said and not shown") }

func TestTable(t *testing.T) {
	for _, name := range []string{"a", "b"} {
		t.Run(name, func(t *testing.T) { t.Parallel() })
	}
}

func TestAttribute(t *testing.T) { t.Attr("owner", "somebody") }

func Example() {
	// Output:
}

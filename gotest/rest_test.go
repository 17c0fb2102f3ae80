package gotest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func itemsOf(names ...string) (items []Item) {
	for _, name := range names {
		items = append(items, Item{Name: name})
	}
	return items
}

// TestRest: what a binary has of other parts is left out, in the order that was chosen, and what
// nobody has collected is exactly one part's.
func TestRest(t *testing.T) {
	packages := []Package{
		{ImportPath: "p", Items: itemsOf("TestA", "TestB", "TestC", "TestB")}, // the second TestB is that of p_test
		{ImportPath: "q", Items: itemsOf("TestQ")},
		{ImportPath: "none"},
	}
	first := restOf(packages, []Package{{ImportPath: "p", Items: itemsOf("TestC", "TestA")}, {ImportPath: "none"}})
	second := restOf(packages, []Package{{ImportPath: "p", Items: itemsOf("TestB", "TestB")}, packages[1]})
	binary := itemsOf("TestA", "TestB", "TestB", "TestC", "TestNew")
	for _, tc := range []struct {
		r    *rest
		path string
		in   []Item
		want []Item
	}{
		{first, "p", binary, itemsOf("TestC", "TestA", "TestNew")},
		{second, "p", binary, itemsOf("TestB", "TestB")},
		{first, "none", itemsOf("TestNew"), itemsOf("TestNew")},
		{second, "q", itemsOf("TestQ", "TestNew"), itemsOf("TestQ", "TestNew")},
		{nil, "p", binary, binary},
		{first, "p", nil, nil},
	} {
		if diff := cmp.Diff(tc.want, tc.r.leaves(tc.path, tc.in)); diff != "" {
			t.Errorf("%s: %s", tc.path, diff)
		}
	}
	for _, tc := range []struct {
		r         *rest
		path      string
		has, part bool
	}{{first, "p", false, true}, {first, "q", true, true}, {first, "none", false, false}, {second, "none", true, false}, {second, "q", false, false}} {
		if tc.r.has(tc.path) != tc.has || tc.r.partOf(tc.path) != tc.part {
			t.Errorf("%s: has %v, part %v", tc.path, tc.r.has(tc.path), tc.r.partOf(tc.path))
		}
	}
}

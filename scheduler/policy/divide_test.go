package policy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const sec = time.Second

func TestDivide(t *testing.T) {
	leaf := func(name string, d time.Duration, subs ...Tree) Tree { return Tree{name, d, subs} }
	for _, tt := range []struct {
		name  string
		tree  Tree
		limit time.Duration
		want  []Part
	}{
		{"a short test stays whole", leaf("T", 2*sec, leaf("a", sec), leaf("b", sec)), 2 * sec, nil},
		{"no limit is known", leaf("T", 2*sec, leaf("a", sec), leaf("b", sec)), 0, nil},
		{"no subtests are known", leaf("T", 9*sec), sec, nil},
		{"one subtest is most of it", leaf("T", 10*sec, leaf("a", 9*sec), leaf("b", sec)), sec, nil},
		{"what it does itself is most of it", leaf("T", 10*sec, leaf("a", 2*sec), leaf("b", 2*sec)), sec, nil},
		{"what it does itself is done again by each part, which makes them longer", leaf("T", 10*sec, leaf("a", 3*sec), leaf("b", 3*sec), leaf("c", 3*sec)), sec, []Part{
			{Path: []string{"T"}, Names: []string{"c"}, Cost: 3 * sec},
			{Path: []string{"T"}, Names: []string{"b"}, Cost: 3 * sec},
			{Path: []string{"T"}, Skip: []string{"c", "b"}, Cost: 4 * sec},
		}},
		{"a difference that may be nothing makes them no longer", leaf("T", 33*sec, leaf("a", 16*sec), leaf("b", 15*sec), leaf("c", sec)), sec, []Part{
			{Path: []string{"T"}, Names: []string{"a"}, Cost: 16 * sec},
			{Path: []string{"T"}, Names: []string{"b"}, Cost: 15 * sec},
			{Path: []string{"T"}, Names: []string{"c"}, Cost: sec},
			{Path: []string{"T"}, Skip: []string{"a", "b", "c"}, Cost: sec},
		}},
		{"short subtests stay in the rest while it is short", leaf("T", 10*sec, leaf("a", sec), leaf("b", 4*sec), leaf("c", 3*sec), leaf("d", 2*sec), leaf("e", 0)), 3 * sec, []Part{
			{Path: []string{"T"}, Names: []string{"b"}, Cost: 4 * sec},
			{Path: []string{"T"}, Names: []string{"c"}, Cost: 3 * sec},
			{Path: []string{"T"}, Skip: []string{"b", "c"}, Cost: 3 * sec},
		}},
		{"subtests that ran at once last longer than their parent", leaf("T", sec, leaf("a", 4*sec), leaf("b", 4*sec)), 4 * sec, []Part{
			{Path: []string{"T"}, Names: []string{"b"}, Cost: 4 * sec},
			{Path: []string{"T"}, Skip: []string{"b"}, Cost: 4 * sec},
		}},
		{"subtests that ran at once would last no less apart", leaf("T", 4*sec, leaf("a", 4*sec), leaf("b", 4*sec), leaf("c", 4100*time.Millisecond)), sec, nil},
		{"subtests of which some ran at once", leaf("T", 6*sec, leaf("a", 3*sec), leaf("b", 3*sec), leaf("c", 3*sec), leaf("d", 3*sec)), 3 * sec, []Part{
			{Path: []string{"T"}, Names: []string{"d"}, Cost: 3 * sec},
			{Path: []string{"T"}, Names: []string{"c"}, Cost: 3 * sec},
			{Path: []string{"T"}, Names: []string{"b"}, Cost: 3 * sec},
			{Path: []string{"T"}, Skip: []string{"d", "c", "b"}, Cost: 3 * sec},
		}},
		{"a subtest is divided itself", leaf("T", 8*sec, leaf("a", 6*sec, leaf("x", 3*sec), leaf("y", 3*sec)), leaf("b", 2*sec)), 3 * sec, []Part{
			{Path: []string{"T", "a"}, Names: []string{"y"}, Cost: 3 * sec},
			{Path: []string{"T", "a"}, Skip: []string{"y"}, Cost: 3 * sec},
			{Path: []string{"T"}, Skip: []string{"a"}, Cost: 2 * sec},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Divide(tt.tree, tt.limit)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The names that a rest leaves out must fit on a command line, quoted: the shortest of too many
// stay in it.
func TestDivideIntoCommandLines(t *testing.T) {
	tree := Tree{Name: "T"}
	for i := range 1000 {
		tree.Subtests = append(tree.Subtests, Tree{Name: fmt.Sprintf("%s %d", strings.Repeat("(", 40), i), Cost: sec})
	}
	parts := Divide(tree, sec)
	rest := parts[len(parts)-1]
	n := len(rest.Skip)
	for _, name := range rest.Skip {
		n += len(regexp.QuoteMeta(name))
	}
	if n > 24<<10 || n < 20<<10 {
		t.Errorf("the rest leaves %d names of %d bytes out", len(rest.Skip), n)
	}
	if left := len(tree.Subtests) - len(rest.Skip); rest.Cost != time.Duration(left)*sec || len(parts) != len(rest.Skip)+1 {
		t.Errorf("%d parts, and the rest with %d subtests lasts %v", len(parts), left, rest.Cost)
	}
}

func TestDivideLimit(t *testing.T) {
	for _, tt := range []struct {
		total time.Duration
		nodes int
		want  time.Duration
	}{{0, 4, 0}, {100 * sec, 1, 100 * sec}, {160 * sec, 4, 10 * sec}, {sec, 64, divideLeast}} {
		if got := DivideLimit(tt.total, tt.nodes); got != tt.want {
			t.Errorf("DivideLimit(%v, %d) is %v, want %v", tt.total, tt.nodes, got, tt.want)
		}
	}
}

package reporters

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/event"
)

// ActionShard is the Action of a Trailer. go test -json has none of this name.
const ActionShard = "shard"

// Trailer ends the report of a shard that came to its end, its tests failing or not: a report
// without one was cut off, or never begun. It is the last line of JSON, which has no Package, so
// that readers of go test -json pass it over, and it is among the properties of a JUnit report.
type Trailer struct {
	Time   time.Time
	Action string // ActionShard
	Shard  string // "1/3"
	Items  int    // that the shard has to account for
	Plan   string `json:",omitempty"` // how the suite was divided: the same in all shards of a run
	Flags  string `json:",omitempty"` // gotest.Command.RunFlags: the same in all shards of a run
	NotRun int    `json:",omitempty"` // of those, the ones that the report has nothing of
}

// Names of properties in a JUnit report.
const (
	propertyShard = "shard"
	propertyItems = "shard.items"
	propertyPlan  = "shard.plan"
	propertyFlags = "shard.flags"
)

// whole reports whether a run came to its end, so that its report may have a Trailer.
func whole(e event.RunEnded) bool {
	return e.Fatal == nil && !e.Summary.Interrupted && e.Summary.Unbalanced == ""
}

// trailing knows what the Trailer of a report has to say. The zero value is that of a run which is
// no shard.
type trailing struct {
	shard string          // "" when the run is none
	seen  map[string]bool // items that the report has something of, by id
}

func (t *trailing) begin(e event.RunStarted) { t.shard, t.seen = e.Shard, make(map[string]bool) }

func (t *trailing) saw(e event.Test) {
	if t.shard != "" && e.Test != "" && !strings.Contains(e.Test, "/") {
		t.seen[gotest.ID(e.Package, e.Test)] = true
	}
}

// end returns the line, or nil when there is none to be written.
func (t *trailing) end(e event.RunEnded) ([]byte, error) {
	if t.shard == "" || !whole(e) {
		return nil, nil
	}
	line := Trailer{Time: e.Time, Action: ActionShard, Shard: t.shard, Items: e.Summary.Collected, Plan: e.Summary.Shards, Flags: e.Summary.Flags}
	for _, it := range e.Summary.NotRun {
		if !t.seen[it.ID] {
			line.NotRun++
		}
	}
	text, err := json.Marshal(line)
	return append(text, '\n'), err
}

// properties are a Trailer as a JUnit report has it, where items that did not run are testcases
// too.
func (t Trailer) properties() *xmlProperties {
	list := []xmlProperty{{propertyShard, t.Shard}, {propertyItems, strconv.Itoa(t.Items)}, {propertyPlan, t.Plan}}
	if t.Flags != "" {
		list = append(list, xmlProperty{propertyFlags, t.Flags})
	}
	return &xmlProperties{list}
}

// Trailer returns what the report says of its shard. ok is false when it says nothing.
func (r *JUnitReport) Trailer() (t Trailer, ok bool) {
	if r.doc.Properties == nil {
		return Trailer{}, false
	}
	for _, p := range r.doc.Properties.List {
		switch p.Name {
		case propertyShard:
			t.Shard = p.Value
		case propertyPlan:
			t.Plan = p.Value
		case propertyFlags:
			t.Flags = p.Value
		case propertyItems:
			n, err := strconv.Atoi(p.Value)
			ok = err == nil
			t.Items = n
		}
	}
	return t, ok && t.Shard != ""
}

// Items is how many top-level tests the report has, whatever became of them. TestMain is counted as
// one: a test may have this name, and what stands for a package has it too.
func (r *JUnitReport) Items() int {
	n := 0
	for _, s := range r.doc.Suites {
		var roots []string
		for _, c := range s.Cases {
			root, _, _ := strings.Cut(c.Name, "/")
			if !c.standsForBuild() && !strings.HasPrefix(root, "Benchmark") {
				roots = append(roots, root)
			}
		}
		slices.Sort(roots)
		n += len(slices.Compact(roots))
	}
	return n
}

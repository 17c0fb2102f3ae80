package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// plan shows how long simulated runs of recorded suites take, by the tests of package policy that
// hold them to these limits.
func (b *bench) plan(ctx context.Context) (*table, error) {
	b.progress("plan: simulating")
	run, err := b.ownTest(ctx, "-json", "-run", "^(TestLearnedSuites|TestRecordedSuites|TestRemainingOfRecordedSuites)$", "./scheduler/policy")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(run.log)
	if err != nil {
		return nil, fmt.Errorf("read the makespans: %w", err)
	}
	defer f.Close() // was only read
	spans, err := scanMakespans(f)
	if err == nil && len(spans) == 0 {
		err = errors.New("the tests told none")
	}
	if err != nil {
		return nil, fmt.Errorf("read the makespans: %w:\n%s", err, lastLines(run.log, 15))
	}
	t := &table{title: "plan: simulated makespans by the bound that no schedule beats: the longest unit, or the work divided evenly"}
	t.note("end: by how much of its time the end of a run is missed at half of it, where tests take up to a fifth more or less than the history has")
	fillPlan(t, spans)
	if run.status != 0 {
		t.miss("the tests failed:\n%s", lastLines(run.log, 15))
	}
	return t, nil
}

// makespan is how long a simulated run took, in parts of the bound.
type makespan struct {
	suite string
	nodes int
	how   string // what the planner knew, or whose algorithm it is
	ratio float64
	limit limit
}

// makespanAttribute is the key under which a test tells a makespan; its value is suite, nodes, how,
// ratio and the upper limit of it, which is 0 for none.
const makespanAttribute = "makespan"

// scanMakespans reads what go test -json prints of such attributes.
func scanMakespans(r io.Reader) ([]makespan, error) {
	var all []makespan
	s := bufio.NewScanner(r)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e struct{ Action, Key, Value string }
		if json.Unmarshal(s.Bytes(), &e) != nil || e.Action != "attr" || e.Key != makespanAttribute {
			continue
		}
		var m makespan
		if _, err := fmt.Sscan(e.Value, &m.suite, &m.nodes, &m.how, &m.ratio, &m.limit.bound); err != nil {
			return nil, fmt.Errorf("attribute %q: %w", e.Value, err)
		}
		all = append(all, m)
	}
	return all, s.Err()
}

// fillPlan makes a row for each suite and number of nodes and a column for each way to plan, in the
// order in which they come.
func fillPlan(t *table, spans []makespan) {
	type place struct {
		suite string
		nodes int
	}
	var places []place
	var hows []string
	cells := make(map[place]map[string]makespan)
	limits := make(map[string]limit)
	for _, m := range spans {
		at := place{m.suite, m.nodes}
		if cells[at] == nil {
			places, cells[at] = append(places, at), make(map[string]makespan)
		}
		if _, ok := limits[m.how]; !ok {
			hows, limits[m.how] = append(hows, m.how), m.limit
		}
		cells[at][m.how] = m
	}
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(strings.Compare(a.suite, b.suite), a.nodes-b.nodes)
	})
	t.head = append([]string{"suite", "nodes"}, hows...)
	for _, at := range places {
		row := []string{at.suite, strconv.Itoa(at.nodes)}
		var missed []string
		for _, how := range hows {
			m, ok := cells[at][how]
			if !ok {
				row = append(row, "–")
				continue
			}
			row = append(row, fmt.Sprintf("%.3f", m.ratio))
			if !m.limit.holds(m.ratio) {
				missed = append(missed, how)
			}
		}
		t.missed += len(missed)
		verdict := "ok"
		if len(missed) > 0 {
			verdict = "MISSED " + strings.Join(missed, ", ")
		}
		t.add(append(row, verdict)...)
	}
	last := []string{"limit", ""}
	for _, how := range hows {
		last = append(last, limits[how].String())
	}
	t.add(last...)
}

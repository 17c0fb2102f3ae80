package html

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/timeline"
	"github.com/xdist-go/xdist/scheduler/event"
)

// table writes what the script draws, as JSON: texts once, and rows of numbers that refer to them.
//
//	tests      package, name, verdict, gateway, milliseconds, expected milliseconds, platform
//	bars       lane, test, start, length (milliseconds), outcome, attempt if not the first
//	steps      lane, what is done, start, length, kind
//	past       test, then verdict and milliseconds of each earlier run, newest first
//	gateways   the lanes: name, host
//	packages, platforms: texts
//	length     of the run, in milliseconds
//
// It is written row by row: there may be 100,000 tests.
type table struct {
	report *run
	out    *bufio.Writer // keeps the first error
	row    []byte

	tests     map[testKey]int // their rows
	rows      int
	packages  texts
	platforms texts
	gateways  []int // places in the list that is written, by place in the timeline
	steps     []int // as gateways
	ids       map[string]int
}

type testKey struct{ pkg, name string }

// texts numbers texts in the order in which they are first asked for.
type texts struct {
	list  []string
	index map[string]int
}

func (t *texts) number(text string) int {
	i, ok := t.index[text]
	if !ok {
		if t.index == nil {
			t.index = map[string]int{}
		}
		i = len(t.list)
		t.index[text] = i
		t.list = append(t.list, text)
	}
	return i
}

func newTable(r *run, out *bufio.Writer) *table {
	return &table{report: r, out: out, tests: map[testKey]int{}, gateways: make([]int, len(r.timeline.Gateways)), steps: make([]int, len(r.timeline.Steps)), ids: map[string]int{}}
}

var verdictCodes = []event.Verdict{event.Pass, event.Fail, event.Flaky, event.Skip, event.Crash, event.NotRun}

func (t *table) write() {
	lanes := t.lanes()
	s := &t.report.ended.Summary
	t.out.WriteString(`{"tests":[`)
	for _, it := range s.Durations {
		t.test(it.ID, it.Verdict, it.Gateway, it.Platform, it.Elapsed, it.Expected)
	}
	for _, it := range s.NotRun {
		if _, ok := t.tests[keyOf(it.ID)]; !ok {
			t.test(it.ID, event.NotRun, "", "", 0, 0)
		}
	}
	bars := t.report.timeline.Bars
	for _, b := range bars {
		if _, ok := t.tests[testKey{b.Package, b.Test}]; !ok && b.Outcome != timeline.Process {
			t.test(b.ID(), event.NotRun, t.report.timeline.Gateways[b.Gateway].ID, "", 0, 0)
		}
	}
	t.out.WriteString(`],"bars":[`)
	first := true
	for _, b := range bars {
		if b.Outcome == timeline.Process {
			continue
		}
		t.begin(first)
		first = false
		t.numbers(t.gateways[b.Gateway], t.tests[testKey{b.Package, b.Test}], int(b.From.Milliseconds()), int((b.To - b.From).Milliseconds()), int(b.Outcome-timeline.Passed))
		if b.Attempt > 1 {
			t.numbers(int(b.Attempt))
		}
		t.end()
	}
	t.out.WriteString(`],"steps":[`)
	for i, s := range t.report.timeline.Steps {
		t.begin(i == 0)
		t.numbers(t.steps[i])
		t.texts(stepText(s))
		t.numbers(int(s.From.Milliseconds()), int((s.To - s.From).Milliseconds()), int(s.Kind))
		t.end()
	}
	t.out.WriteString(`],"past":[`)
	t.past(s.Durations)
	t.out.WriteString(`],"gateways":[`)
	for i, g := range lanes {
		t.begin(i == 0)
		t.texts(g.name, g.host)
		t.end()
	}
	t.out.WriteString(`],"packages":`)
	t.list(t.packages.list)
	t.out.WriteString(`,"platforms":`)
	t.list(t.platforms.list)
	t.out.WriteString(`,"length":` + strconv.FormatInt(t.report.ended.Elapsed.Milliseconds(), 10) + "}")
}

// past writes what earlier runs saw of the tests.
func (t *table) past(tests []event.ItemSeconds) {
	first := true
	for _, it := range tests {
		if len(tests) > pastKept && it.Verdict == event.Pass {
			continue
		}
		k := keyOf(it.ID)
		seen := t.report.sights(it.Platform, k.pkg, k.name)
		if len(seen) == 0 {
			continue
		}
		t.begin(first)
		first = false
		t.numbers(t.tests[k])
		for _, s := range seen {
			t.numbers(slices.Index(verdictCodes, event.Verdict(s.Verdict)), int(s.Elapsed.Milliseconds()))
		}
		t.end()
	}
}

// laneRank orders the lanes of a host.
type laneRank int

const (
	laneBuild laneRank = iota // what is built for a platform
	laneSent                  // what is sent to the host
	laneGateway
)

// lane is a line of the timeline.
type lane struct {
	name, host string
	rank       laneRank
}

// laneOf is where a step is shown.
func laneOf(s timeline.Step) lane {
	switch s.Kind {
	case timeline.Connect:
		return lane{s.Of, s.Host, laneGateway}
	case timeline.Send:
		return lane{"sent", s.Host, laneSent}
	}
	return lane{"build " + s.Of, s.Host, laneBuild}
}

// stepText is what a step is, with what it was done.
func stepText(s timeline.Step) string {
	switch s.Kind {
	case timeline.Collect:
		return "collect the tests of " + s.Of
	case timeline.Build:
		if s.Failed {
			return "build " + s.Package + ": nothing to run"
		}
		return "build " + s.Package
	case timeline.Send:
		return fmt.Sprintf("send %.1f MB to %s", float64(s.Bytes)/1e6, s.Of)
	}
	return "connect to " + s.Of
}

// lanes are the lines of the timeline in the order in which they are shown: those of a host
// together, the controller's first, and gw2 before gw10.
func (t *table) lanes() []lane {
	var all []lane
	seen := map[lane]bool{}
	add := func(l lane) {
		if !seen[l] {
			seen[l] = true
			all = append(all, l)
		}
	}
	for _, g := range t.report.timeline.Gateways {
		add(lane{g.ID, g.Host, laneGateway})
	}
	for _, s := range t.report.timeline.Steps {
		add(laneOf(s))
	}
	here := t.report.started.Hostname
	slices.SortFunc(all, func(a, b lane) int {
		far := func(l lane) int {
			if l.host == here {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(far(a), far(b)), strings.Compare(a.host, b.host), cmp.Compare(a.rank, b.rank), cmp.Compare(len(a.name), len(b.name)), strings.Compare(a.name, b.name))
	})
	places := make(map[lane]int, len(all))
	for i, l := range all {
		places[l] = i
	}
	for i, g := range t.report.timeline.Gateways {
		t.gateways[i] = places[lane{g.ID, g.Host, laneGateway}]
		t.ids[g.ID] = t.gateways[i]
	}
	for i, s := range t.report.timeline.Steps {
		t.steps[i] = places[laneOf(s)]
	}
	return all
}

func keyOf(id string) testKey {
	pkg, name, _ := strings.Cut(id, "::")
	return testKey{pkg, name}
}

func (t *table) test(id string, v event.Verdict, gateway, platform string, took, expected time.Duration) {
	k := keyOf(id)
	t.begin(t.rows == 0)
	t.tests[k] = t.rows
	t.rows++
	t.numbers(t.packages.number(k.pkg))
	t.texts(k.name)
	at, ok := t.ids[gateway]
	if !ok {
		at = -1
	}
	t.numbers(slices.Index(verdictCodes, v), at, int(took.Milliseconds()), int(expected.Milliseconds()), t.platforms.number(platform))
	t.end()
}

func (t *table) list(texts []string) {
	t.begin(true)
	t.texts(texts...)
	t.end()
}

// begin begins a row. The first one has no comma before it.
func (t *table) begin(first bool) {
	t.row = t.row[:0]
	if !first {
		t.row = append(t.row, ',')
	}
	t.row = append(t.row, '[')
}

func (t *table) numbers(values ...int) {
	for _, v := range values {
		t.comma()
		t.row = strconv.AppendInt(t.row, int64(v), 10)
	}
}

func (t *table) texts(values ...string) {
	for _, v := range values {
		t.comma()
		t.row = test2json.AppendString(t.row, v)
	}
}

func (t *table) comma() {
	if t.row[len(t.row)-1] != '[' {
		t.row = append(t.row, ',')
	}
}

func (t *table) end() {
	t.row = append(t.row, ']')
	t.out.Write(t.row)
}

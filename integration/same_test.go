package integration

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// cmdSame compares what reports of two runs tell.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	facts := map[string]func(string) ([]string, error){"json": eventFacts, "junit": junitFacts, "cover": coverFacts}
	if len(args) != 3 || facts[args[0]] == nil {
		ts.Fatalf("usage: same json|junit|cover a b")
	}
	var sides [2][]string
	for i, name := range args[1:] {
		var err error
		sides[i], err = facts[args[0]](ts.ReadFile(name))
		ts.Check(err)
		if len(sides[i]) == 0 {
			ts.Fatalf("%s tells nothing", name)
		}
		slices.Sort(sides[i])
	}
	diff := cmp.Diff(sides[0], sides[1])
	if neg != (diff != "") {
		ts.Fatalf("%s and %s:\n%s", args[1], args[2], diff)
	}
}

var timeText = regexp.MustCompile(`\d+\.\d+s`)

// eventFacts are the events without times; that of the tests' output which belongs to a package is
// there without what a process prints of its own.
func eventFacts(text string) ([]string, error) {
	var facts []string
	for line := range strings.Lines(text) {
		var e test2json.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, err
		}
		if e.Action == test2json.ActionPause || e.Action == test2json.ActionCont {
			continue
		}
		facts = append(facts, fmt.Sprintf("%s %s %s %q", e.Package, e.Test, e.Action, timeText.ReplaceAllString(e.Output, "0s")))
	}
	return facts, nil
}

// junitFacts are the testcases with their outcomes, and the suites with their sums.
func junitFacts(text string) ([]string, error) {
	var doc struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Name    string `xml:"name,attr"`
			Tests   int    `xml:"tests,attr"`
			Skipped int    `xml:"skipped,attr"`
			Cases   []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	facts := []string{fmt.Sprintf("%d tests, %d failures", doc.Tests, doc.Failures)}
	for _, s := range doc.Suites {
		facts = append(facts, fmt.Sprintf("%s: %d tests, %d skipped", s.Name, s.Tests, s.Skipped))
		for _, c := range s.Cases {
			facts = append(facts, fmt.Sprintf("%s::%s failed %v skipped %v", s.Name, c.Name, c.Failure != nil, c.Skipped != nil))
		}
	}
	return facts, nil
}

func coverFacts(text string) ([]string, error) {
	return strings.Split(strings.TrimSpace(text), "\n"), nil
}

package unit

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// runsOf are the tests that begin when a part of a test of plain runs; nil is all of it.
func runsOf(t *testing.T, test string, p *Part) []string {
	t.Helper()
	u := part(fixture(t, "plain", ""), test)
	u.Part = p
	var ran []string
	res := Run(context.Background(), u, func(events []event) {
		for _, e := range events {
			if e.Action == "run" {
				ran = append(ran, e.Test)
			}
		}
	})
	if res.Failed || res.Items[test].Action != "pass" {
		t.Errorf("%s, part %+v: %+v", test, p, res)
	}
	return ran
}

func TestPart(t *testing.T) {
	for _, tt := range []struct {
		part Part
		want []string
	}{
		{Part{Path: []string{"TestA"}, Skip: []string{"x"}}, []string{"TestA", "TestA/y"}},
		{Part{Path: []string{"TestA"}, Only: []string{"x"}}, []string{"TestA", "TestA/x", "TestA/x/deep"}},
		{Part{Path: []string{"TestA", "x"}, Skip: []string{"deep"}}, []string{"TestA", "TestA/x"}},
		{Part{Path: []string{"TestA", "x"}, Only: []string{"deep"}}, []string{"TestA", "TestA/x", "TestA/x/deep"}},
		{Part{Path: []string{"TestAB"}, Only: []string{"x", "y"}}, []string{"TestAB", "TestAB/x", "TestAB/y"}},
		{Part{Path: []string{"TestA"}, Only: []string{"gone"}}, []string{"TestA"}},
		{Part{Path: []string{"TestA"}, Skip: []string{"gone"}}, []string{"TestA", "TestA/x", "TestA/x/deep", "TestA/y"}},
	} {
		if diff := cmp.Diff(tt.want, runsOf(t, tt.part.Path[0], &tt.part)); diff != "" {
			t.Errorf("part %+v (-want +got):\n%s", tt.part, diff)
		}
	}
}

// A subtest runs in the part that names it and in no other, whatever is in its name.
func TestPartsOfOddNames(t *testing.T) {
	whole := runsOf(t, "TestOdd", nil)[1:]
	var named []string
	for i, test := range whole {
		if name := strings.Split(test, "/")[1]; i%2 == 0 && !slices.Contains(named, name) {
			named = append(named, name)
		}
	}
	if len(whole) < 10 || len(named) < 5 {
		t.Fatalf("%d subtests, %d to be named: the fixture has lost what this is about", len(whole), len(named))
	}
	got := runsOf(t, "TestOdd", &Part{Path: []string{"TestOdd"}, Skip: named})[1:]
	for _, name := range named {
		got = append(got, runsOf(t, "TestOdd", &Part{Path: []string{"TestOdd"}, Only: []string{name}})[1:]...)
	}
	slices.Sort(whole)
	slices.Sort(got)
	if diff := cmp.Diff(whole, got); diff != "" {
		t.Errorf("in parts (-whole +parts):\n%s", diff)
	}
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// verdicts are how the tests and subtests of one run ended, each by package::test; a package is
// package:: and its own.
type verdicts map[string]string

// absent is the verdict on a test that a run does not mention.
const absent = "absent"

func (v verdicts) of(id string) string {
	if action, ok := v[id]; ok {
		return action
	}
	return absent
}

// readVerdicts reads what runs have printed as go test -json does.
func readVerdicts(runs []timing) ([]verdicts, error) {
	var all []verdicts
	for _, r := range runs {
		f, err := os.Open(r.log)
		if err != nil {
			return nil, fmt.Errorf("read verdicts: %w", err)
		}
		v, err := scanVerdicts(f)
		f.Close() // was only read
		if err != nil {
			return nil, fmt.Errorf("read verdicts of %s: %w", r.log, err)
		}
		all = append(all, v)
	}
	return all, nil
}

// scanVerdicts reads the events of one run; lines of another kind, from standard error, are passed
// over.
func scanVerdicts(r io.Reader) (verdicts, error) {
	v := make(verdicts)
	s := bufio.NewScanner(r)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e struct{ Action, Package, Test string }
		if json.Unmarshal(s.Bytes(), &e) != nil || e.Package == "" {
			continue
		}
		switch e.Action {
		case "pass", "fail", "skip":
			v[e.Package+"::"+e.Test] = e.Action
		}
	}
	return v, s.Err()
}

// shownDifferences bounds how many tests a note names.
const shownDifferences = 8

// odd reports whether a test has in most of our runs a verdict that no run of the peer gave.
func odd(peer, ours []verdicts, id string) bool { return 2*strange(peer, ours, id) > len(ours) }

// strange is in how many of our runs a test has a verdict that no run of the peer gave.
func strange(peer, ours []verdicts, id string) int {
	theirs, n := tally(peer, id), 0
	for _, v := range ours {
		if theirs[v.of(id)] == 0 {
			n++
		}
	}
	return n
}

// repeats bounds how often the peer has to run again what differs.
const repeats = 2

// repeated returns the peer's runs and, while tests differ, further ones of their packages: a test
// that fails now and then is found out so. repeat runs some packages.
func repeated(peer, ours []verdicts, repeat func(packages []string) (verdicts, error)) ([]verdicts, error) {
	for range repeats {
		packages := make(map[string]bool)
		for _, id := range ids(slices.Concat(peer, ours)) {
			if odd(peer, ours, id) {
				packages[packageOf(id)] = true
			}
		}
		if len(packages) == 0 {
			break
		}
		again, err := repeat(slices.Sorted(maps.Keys(packages)))
		if err != nil {
			return nil, err
		}
		v := maps.Clone(peer[0]) // what did not run again is as it was
		maps.DeleteFunc(v, func(id, _ string) bool { return packages[packageOf(id)] })
		maps.Copy(v, again)
		peer = append(slices.Clip(peer), v)
	}
	return peer, nil
}

func packageOf(id string) string {
	pkg, _, _ := strings.Cut(id, "::")
	return pkg
}

// differ compares the verdicts of runs. A test whose verdict in most of our runs is one that no run
// of the peer gave is a missed limit. One that has such a verdict less often, or fails in the peer,
// as tests do that fail now and then, is named with its verdicts on both sides.
func differ(t *table, what string, peer, ours []verdicts) {
	var wrong, rare []string
	for _, id := range ids(slices.Concat(peer, ours)) {
		theirs := tally(peer, id)
		line := fmt.Sprintf("%s: go test %s, xdist %s", id, theirs, tally(ours, id))
		switch {
		case odd(peer, ours, id):
			wrong = append(wrong, line)
		case strange(peer, ours, id) > 0 || theirs["fail"] > 0:
			rare = append(rare, line)
		}
	}
	total := fmt.Sprintf("%d tests, subtests and packages", len(ids(peer)))
	if len(wrong) > 0 {
		t.miss("%s: %d of %s have another verdict in most runs than go test ever gave:\n%s", what, len(wrong), total, indent(wrong))
	}
	if len(rare) > 0 {
		t.note("%s: %d of %s failed in go test too, or have another verdict in a minority of runs:\n%s", what, len(rare), total, indent(rare))
	}
	if len(wrong)+len(rare) == 0 {
		t.note("%s: the same verdicts on %s", what, total)
	}
}

func indent(lines []string) string {
	if more := len(lines) - shownDifferences; more > 0 {
		lines = append(slices.Clip(lines[:shownDifferences]), fmt.Sprintf("and %d more", more))
	}
	return "    " + strings.Join(lines, "\n    ")
}

// ids returns all tests of some runs in order.
func ids(runs []verdicts) []string {
	all := make(map[string]bool)
	for _, v := range runs {
		for id := range v {
			all[id] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// counts are how many runs gave each verdict.
type counts map[string]int

func tally(runs []verdicts, id string) counts {
	c := make(counts)
	for _, v := range runs {
		c[v.of(id)]++
	}
	return c
}

// String is as in "2 pass, 1 fail".
func (c counts) String() string {
	var parts []string
	for _, action := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%d %s", c[action], action))
	}
	slices.Reverse(parts) // skip, pass, fail, absent
	return strings.Join(parts, ", ")
}

package reporters

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/xdist-go/xdist/internal/atomicfile"
)

// JUnitReport is a JUnit report that was read or merged.
type JUnitReport struct{ doc xmlSuites }

// NamedJUnit is a report and what messages call it.
type NamedJUnit struct {
	Name   string
	Report *JUnitReport
}

// ReadJUnit reads a report whose root is testsuites, as JUnit and gotestsum write them.
func ReadJUnit(r io.Reader) (*JUnitReport, error) {
	var report JUnitReport
	if err := xml.NewDecoder(r).Decode(&report.doc); err != nil {
		return nil, fmt.Errorf("parse JUnit: %w", err)
	}
	return &report, nil
}

// MergeJUnit makes one report of those of several jobs. Suites of one name become one, with the sum
// of their times. A testcase that two reports have is an error that names both, unless it stands
// for a package that failed as a whole, which can happen in every job. The report is of no shard.
func MergeJUnit(reports []NamedJUnit) (*JUnitReport, error) {
	var merged xmlSuites
	index := make(map[string]int)
	owner := make(map[[2]string]string)
	total := 0.0
	for _, r := range reports {
		total += secondsOf(r.Report.doc.Time)
		merged.Name = cmp.Or(merged.Name, r.Report.doc.Name)
		for _, s := range r.Report.doc.Suites {
			s.Cases = slices.Clone(s.Cases)
			for at := len(s.Cases) - 1; at >= 0; at-- {
				c := s.Cases[at]
				id := [2]string{s.Name, c.Name}
				if had, ok := owner[id]; ok && had != r.Name && !c.standsForPackage() {
					return nil, fmt.Errorf("merge JUnit reports: %s::%s is in %s and in %s: these are no parts of one run", s.Name, c.Name, had, r.Name)
				}
				if _, ok := owner[id]; ok && c.standsForBuild() {
					s.drop(at) // one build that fails fails in every job
					continue
				}
				owner[id] = r.Name
			}
			i, ok := index[s.Name]
			if !ok {
				index[s.Name] = len(merged.Suites)
				merged.Suites = append(merged.Suites, s)
				continue
			}
			merged.Suites[i].add(s)
		}
	}
	slices.SortFunc(merged.Suites, func(a, b xmlSuite) int { return cmp.Compare(a.Name, b.Name) })
	for _, s := range merged.Suites {
		merged.Tests += s.Tests
		merged.Failures += s.Failures
		merged.Errors += s.Errors
	}
	merged.Time = xmlSeconds(total)
	return &JUnitReport{merged}, nil
}

// standsForPackage reports whether the testcase is none of a test. See JUnit.packageFailure.
func (c *xmlCase) standsForPackage() bool { return c.Name == "TestMain" || c.standsForBuild() }

func (c *xmlCase) standsForBuild() bool { return strings.HasPrefix(c.Name, "[") }

// drop takes out a testcase that is an error.
func (s *xmlSuite) drop(at int) {
	s.Cases = slices.Delete(s.Cases, at, at+1)
	s.Tests--
	s.Errors--
}

// add takes the other part of a suite.
func (s *xmlSuite) add(o xmlSuite) {
	s.Tests += o.Tests
	s.Failures += o.Failures
	s.Errors += o.Errors
	s.Skipped += o.Skipped
	s.Time = xmlSeconds(secondsOf(s.Time) + secondsOf(o.Time))
	if o.Timestamp != "" && (s.Timestamp == "" || o.Timestamp < s.Timestamp) {
		s.Timestamp = o.Timestamp
	}
	if s.Hostname != o.Hostname {
		s.Hostname = ""
	}
	s.Cases = append(slices.Clip(s.Cases), o.Cases...)
	switch {
	case s.SystemOut == nil:
		s.SystemOut = o.SystemOut
	case o.SystemOut != nil:
		s.SystemOut = &xmlText{s.SystemOut.Text + o.SystemOut.Text}
	}
}

// secondsOf reads a time attribute; one that cannot be read counts nothing.
func secondsOf(text string) float64 {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return s
}

// Count returns how many testcases there are, and how many of them failed or had an error.
func (r *JUnitReport) Count() (tests, bad int) { return r.doc.Tests, r.doc.Failures + r.doc.Errors }

// WriteFile writes the report to file, which it replaces in one step.
func (r *JUnitReport) WriteFile(file string) error {
	t, err := atomicfile.New(file)
	if err == nil {
		err = t.Replace(r.doc.write)
	}
	if err != nil {
		return fmt.Errorf("write JUnit report %q: %w", file, err)
	}
	return nil
}

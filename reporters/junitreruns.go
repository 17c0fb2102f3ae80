package reporters

import (
	"slices"

	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// xmlAttempt is an attempt at a test that was followed by another one, in the form of Maven
// Surefire's reports: flakyFailure where the last attempt did not fail, rerunFailure where it did.
type xmlAttempt struct {
	Message    string  `xml:"message,attr"`
	Type       string  `xml:"type,attr"`
	StackTrace xmlText `xml:"stackTrace"`
}

// joinAttempts makes one testcase of the attempts at each test: that of the last attempt, which
// keeps the failures of the others. last is the number of the last attempt by top-level test. The
// failure of a test that has failed by the account stays what it is, whatever its last attempt
// says.
func (s *suite) joinAttempts(last map[string]int32, verdicts map[string]event.Verdict) {
	final := map[string]*testcase{}
	for _, c := range slices.Backward(s.cases) {
		if c.attempt == last[c.root()] {
			final[c.name] = c // the first of several, as under -count
		}
	}
	s.cases = slices.DeleteFunc(s.cases, func(c *testcase) bool {
		f := final[c.name]
		if f == nil || c.attempt >= f.attempt {
			return false
		}
		v := verdicts[s.name+"::"+c.name]
		if c.name == c.root() && c.bad() && !f.bad() && v != event.Flaky && v != event.Pass && v != event.Skip {
			return false
		}
		if c.bad() {
			f.remark().earlier = append(f.earlier, c)
		}
		return true
	})
}

// dropMade takes the testcase away that stands for the failure of the package when a test has
// failed whose next attempt did not come, as the run was stopped: that is the failure.
func (s *suite) dropMade(verdicts map[string]event.Verdict) {
	counts := func(c *testcase) bool {
		v := verdicts[s.name+"::"+c.root()]
		return c.again && c.bad() && (v == event.Fail || v == event.Crash)
	}
	if s.made != nil && slices.ContainsFunc(s.cases, counts) {
		s.cases = slices.DeleteFunc(s.cases, func(c *testcase) bool { return c == s.made })
	}
}

// attempts adds the earlier attempts at c to its element. Of several failures the first is the
// failure and the others are repetitions of it.
func (x *xmlCase) attempts(c *testcase) {
	if len(c.earlier) == 0 {
		return
	}
	switch c.outcome {
	case failed:
		again := append(c.earlier[1:len(c.earlier):len(c.earlier)], c)
		x.Failure = c.earlier[0].failure()
		x.RerunFailures = xmlAttempts(again)
	case errored:
		x.RerunFailures = xmlAttempts(c.earlier)
	default:
		x.FlakyFailures = xmlAttempts(c.earlier)
	}
}

func xmlAttempts(cases []*testcase) []xmlAttempt {
	var all []xmlAttempt
	for _, c := range cases {
		f := c.failure()
		all = append(all, xmlAttempt{Message: f.Message, Type: "failure", StackTrace: xmlText{f.Text}})
	}
	return all
}

// failure is what c printed as the text of a failure.
func (c *testcase) failure() *xmlMessage {
	text := xmlLegal(failure.WithoutFraming(c.out.String()))
	message := xmlLegal(c.message)
	if message == "" {
		message = firstLine(text, "Failed")
	}
	return &xmlMessage{Message: message, Text: text}
}

package reporters

import (
	"encoding/xml"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// messageRunes is the longest message attribute made of output: CI servers show it as a heading.
const messageRunes = 200

type xmlSuites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr,omitempty"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Time     string   `xml:"time,attr"`

	Properties *xmlProperties `xml:"properties"`
	Suites     []xmlSuite     `xml:"testsuite"`
}

type xmlSuite struct {
	Name       string         `xml:"name,attr"`
	Tests      int            `xml:"tests,attr"`
	Failures   int            `xml:"failures,attr"`
	Errors     int            `xml:"errors,attr"`
	Skipped    int            `xml:"skipped,attr"`
	Time       string         `xml:"time,attr"`
	Timestamp  string         `xml:"timestamp,attr,omitempty"`
	Hostname   string         `xml:"hostname,attr,omitempty"`
	Properties *xmlProperties `xml:"properties"`
	Cases      []xmlCase      `xml:"testcase"`
	SystemOut  *xmlText       `xml:"system-out"`
}

type xmlCase struct {
	Classname  string         `xml:"classname,attr"`
	Name       string         `xml:"name,attr"`
	Time       string         `xml:"time,attr"`
	Timestamp  string         `xml:"timestamp,attr,omitempty"`
	File       string         `xml:"file,attr,omitempty"`
	Line       int            `xml:"line,attr,omitempty"`
	Properties *xmlProperties `xml:"properties"`
	Failure    *xmlMessage    `xml:"failure"`

	RerunFailures []xmlAttempt `xml:"rerunFailure"`
	FlakyFailures []xmlAttempt `xml:"flakyFailure"`

	Skipped   *xmlMessage `xml:"skipped"`
	Error     *xmlMessage `xml:"error"`
	SystemOut *xmlText    `xml:"system-out"`
}

type xmlProperties struct {
	List []xmlProperty `xml:"property"`
}

type xmlProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type xmlMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",cdata"`
}

type xmlText struct {
	Text string `xml:",cdata"`
}

// write writes a whole report.
func (d xmlSuites) write(w io.Writer) error {
	out := newXMLWriter(w)
	out.begin(d)
	for i := range d.Suites {
		out.suite(&d.Suites[i])
	}
	return out.finish()
}

// write writes the report of all that was handled, suite by suite, in the order of their names.
func (j *JUnit) write(w io.Writer) error {
	j.settle()
	doc := xmlSuites{Name: xmlLegal(j.cfg.Name), Time: xmlSeconds(j.elapsed.Seconds())}
	if j.shard != "" && j.ended && j.cfg.Schema != JUnitJenkins {
		doc.Properties = Trailer{Shard: j.shard, Items: j.summary.Collected, Plan: j.summary.Shards, Flags: j.summary.Flags}.properties()
	}
	for _, s := range j.suites {
		failures, errors, _ := s.count()
		doc.Tests += len(s.cases)
		doc.Failures += failures
		doc.Errors += errors
	}
	out := newXMLWriter(w)
	out.begin(doc)
	for _, name := range slices.Sorted(maps.Keys(j.suites)) {
		if s := j.suites[name]; len(s.cases) > 0 || !j.cfg.HideEmpty {
			x := j.xmlSuite(s)
			out.suite(&x)
		}
	}
	return out.finish()
}

// count is how many testcases of the suite are what.
func (s *suite) count() (failures, errors, skips int) {
	for _, c := range s.cases {
		switch c.outcome {
		case failed:
			failures++
		case errored:
			errors++
		case skipped:
			skips++
		}
	}
	return failures, errors, skips
}

func (j *JUnit) xmlSuite(s *suite) xmlSuite {
	start := s.start
	if start.IsZero() {
		start = j.started
	}
	x := xmlSuite{Name: xmlLegal(j.cfg.Suites.of(s.name)), Tests: len(s.cases), Time: xmlSeconds(s.elapsed), Hostname: xmlLegal(j.hostOf(s))}
	if s.platform != "" {
		x.Properties = &xmlProperties{[]xmlProperty{{Name: "platform", Value: xmlLegal(s.platform)}}}
	}
	if !start.IsZero() {
		x.Timestamp = start.UTC().Format(time.RFC3339)
	}
	x.Failures, x.Errors, x.Skipped = s.count()
	x.Cases = make([]xmlCase, 0, len(s.cases))
	for _, c := range s.cases {
		x.Cases = append(x.Cases, j.xmlCase(s, c))
	}
	if j.cfg.SystemOut == EveryTest {
		x.SystemOut = systemOut(s.out.String())
	}
	return x
}

// hostOf is the host that all of a suite's tests ran on, or the controller's when they were spread
// or none ran.
func (j *JUnit) hostOf(s *suite) string {
	host := ""
	for gateway := range s.gateways {
		if h := j.hosts[gateway]; host == "" {
			host = h
		} else if h != host {
			return j.hostname
		}
	}
	if host == "" {
		return j.hostname
	}
	return host
}

func (j *JUnit) xmlCase(s *suite, c *testcase) xmlCase {
	text := xmlLegal(failure.WithoutFraming(c.out.String()))
	x := xmlCase{
		Classname: xmlLegal(j.cfg.Classes.of(s.name)), Name: xmlLegal(c.name), Time: xmlSeconds(c.elapsed),
	}
	if j.cfg.Schema != JUnitJenkins {
		x.Properties = j.properties(c)
		x.File, x.Line = xmlLegal(c.file), c.line
		if c.started != 0 {
			x.Timestamp = j.stamp(c.started)
		}
	}
	message := &xmlMessage{Message: xmlLegal(c.message), Text: text}
	switch c.outcome {
	case failed:
		x.Failure = c.failure()
	case errored:
		x.Error = message
		x.Error.Type = "error"
	case skipped:
		if message.Message == "" {
			message.Message = firstLine(text, "skipped")
		}
		message.Text = "" // Jenkins reads the attribute only
		x.Skipped = message
		if c.message != "" {
			x.SystemOut = systemOut(text)
		}
	}
	x.attempts(c)
	if j.cfg.SystemOut == EveryTest && !c.bad() {
		x.SystemOut = systemOut(text)
	}
	return x
}

// properties of c: where and how often it ran, then what it said of itself with T.Attr.
func (j *JUnit) properties(c *testcase) *xmlProperties {
	list := make([]xmlProperty, 0, 3+len(c.attrs))
	if c.gateway != "" {
		list = append(list, xmlProperty{Name: "gateway", Value: xmlLegal(c.gateway)})
	}
	if host := j.hosts[c.gateway]; host != "" {
		list = append(list, xmlProperty{Name: "hostname", Value: xmlLegal(host)})
	}
	if c.attempt > 0 {
		list = append(list, xmlProperty{Name: "attempt", Value: strconv.Itoa(int(c.attempt))})
	}
	for _, a := range c.attrs {
		list = append(list, xmlProperty{Name: xmlLegal(a.Name), Value: xmlLegal(a.Value)})
	}
	if len(list) == 0 {
		return nil
	}
	return &xmlProperties{List: list}
}

// stamp is a time as JUnit has it, in seconds. Testcases that began in one second share it.
func (j *JUnit) stamp(nanoseconds int64) string {
	at := time.Unix(0, nanoseconds).UTC().Truncate(time.Second)
	if !at.Equal(j.stamped.at) || j.stamped.text == "" {
		j.stamped.at, j.stamped.text = at, at.Format(time.RFC3339)
	}
	return j.stamped.text
}

func systemOut(text string) *xmlText {
	if text = xmlLegal(text); text == "" {
		return nil
	}
	return &xmlText{Text: text}
}

// xmlSeconds has three decimals, which is all that Jenkins' schema allows.
func xmlSeconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }

// firstLine returns the first line of text that tells something, or none.
func firstLine(text, none string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line == "PASS" || line == "FAIL" || leading(line, "--- ", "FAIL\t") != "" {
			continue
		}
		if r := []rune(line); len(r) > messageRunes {
			line = string(r[:messageRunes]) + "…"
		}
		return line
	}
	return none
}

// xmlLegal makes text fit for XML 1.0: colours are left out, and each character that XML has no
// place for is U+FFFD.
func xmlLegal(text string) string {
	if plainASCII(text) {
		return text
	}
	text = withoutColours(text)
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r < 0xd800, r > 0xdfff && r < 0xfffe, r > 0xffff:
			return r
		}
		return '\ufffd'
	}, text)
}

// plainASCII reports whether a text has nothing but printable ASCII, as most names have.
func plainASCII(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// withoutColours leaves out what sets a terminal's colours: ESC [ parameters m.
func withoutColours(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := strings.IndexFunc(after, func(r rune) bool { return (r < '0' || r > '9') && r != ';' })
		if end >= 0 && after[end] == 'm' {
			text = after[end+1:]
			continue
		}
		b.WriteString("\x1b[")
		text = after
	}
}

var _ event.Reporter = (*JUnit)(nil)

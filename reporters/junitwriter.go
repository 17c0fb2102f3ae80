package reporters

import (
	"bufio"
	"encoding/xml"
	"io"
	"strconv"
	"strings"
)

// xmlWriter writes the elements of a report as encoding/xml does, which takes ten times as long for
// it and wants the whole report in memory.
type xmlWriter struct {
	out    *bufio.Writer // keeps the first error
	depth  int
	open   bool // the start tag has no end yet
	nested bool // what was written last is the end of an element
}

func newXMLWriter(w io.Writer) *xmlWriter {
	out := &xmlWriter{out: bufio.NewWriterSize(w, 64<<10)}
	out.out.WriteString(xml.Header)
	return out
}

func (w *xmlWriter) start(name string) {
	w.text("")
	if w.depth > 0 {
		w.indent()
	}
	w.out.WriteByte('<')
	w.out.WriteString(name)
	w.depth++
	w.open, w.nested = true, false
}

func (w *xmlWriter) end(name string) {
	w.text("")
	w.depth--
	if w.nested {
		w.indent()
	}
	w.out.WriteString("</")
	w.out.WriteString(name)
	w.out.WriteByte('>')
	w.nested = true
}

func (w *xmlWriter) indent() {
	w.out.WriteByte('\n')
	for range w.depth {
		w.out.WriteByte('\t')
	}
}

// text ends a start tag and writes text as character data.
func (w *xmlWriter) text(text string) {
	if w.open {
		w.out.WriteByte('>')
		w.open = false
	}
	if text != "" {
		w.out.WriteString("<![CDATA[")
		w.out.WriteString(strings.ReplaceAll(text, "]]>", "]]]]><![CDATA[>"))
		w.out.WriteString("]]>")
	}
}

func (w *xmlWriter) attr(name, value string) {
	w.out.WriteByte(' ')
	w.out.WriteString(name)
	w.out.WriteString(`="`)
	if plainASCII(value) && !strings.ContainsAny(value, `"'&<>`) {
		w.out.WriteString(value)
	} else {
		xml.EscapeText(w.out, []byte(value))
	}
	w.out.WriteByte('"')
}

func (w *xmlWriter) number(name string, value int) { w.attr(name, strconv.Itoa(value)) }

// attrIf leaves out an attribute that says nothing.
func (w *xmlWriter) attrIf(name, value string) {
	if value != "" {
		w.attr(name, value)
	}
}

// begin begins a report with all of it but its suites, which follow.
func (w *xmlWriter) begin(d xmlSuites) {
	w.start("testsuites")
	w.attrIf("name", d.Name)
	w.number("tests", d.Tests)
	w.number("failures", d.Failures)
	w.number("errors", d.Errors)
	w.attr("time", d.Time)
	w.properties(d.Properties)
}

// finish ends it. The error is the first of all.
func (w *xmlWriter) finish() error {
	w.end("testsuites")
	w.out.WriteByte('\n')
	return w.out.Flush()
}

func (w *xmlWriter) suite(x *xmlSuite) {
	w.start("testsuite")
	w.attr("name", x.Name)
	w.number("tests", x.Tests)
	w.number("failures", x.Failures)
	w.number("errors", x.Errors)
	w.number("skipped", x.Skipped)
	w.attr("time", x.Time)
	w.attrIf("timestamp", x.Timestamp)
	w.attrIf("hostname", x.Hostname)
	w.properties(x.Properties)
	for i := range x.Cases {
		w.testcase(&x.Cases[i])
	}
	w.output("system-out", x.SystemOut)
	w.end("testsuite")
}

func (w *xmlWriter) testcase(x *xmlCase) {
	w.start("testcase")
	w.attr("classname", x.Classname)
	w.attr("name", x.Name)
	w.attr("time", x.Time)
	w.attrIf("timestamp", x.Timestamp)
	w.attrIf("file", x.File)
	if x.Line != 0 {
		w.number("line", x.Line)
	}
	w.properties(x.Properties)
	w.message("failure", x.Failure)
	w.attempts("rerunFailure", x.RerunFailures)
	w.attempts("flakyFailure", x.FlakyFailures)
	w.message("skipped", x.Skipped)
	w.message("error", x.Error)
	w.output("system-out", x.SystemOut)
	w.end("testcase")
}

func (w *xmlWriter) properties(x *xmlProperties) {
	if x == nil {
		return
	}
	w.start("properties")
	for _, p := range x.List {
		w.start("property")
		w.attr("name", p.Name)
		w.attr("value", p.Value)
		w.end("property")
	}
	w.end("properties")
}

func (w *xmlWriter) message(name string, x *xmlMessage) {
	if x == nil {
		return
	}
	w.start(name)
	w.attr("message", x.Message)
	w.attrIf("type", x.Type)
	w.text(x.Text)
	w.end(name)
}

func (w *xmlWriter) attempts(name string, all []xmlAttempt) {
	for _, x := range all {
		w.start(name)
		w.attr("message", x.Message)
		w.attr("type", x.Type)
		w.output("stackTrace", &x.StackTrace)
		w.end(name)
	}
}

func (w *xmlWriter) output(name string, x *xmlText) {
	if x == nil {
		return
	}
	w.start(name)
	w.text(x.Text)
	w.end(name)
}

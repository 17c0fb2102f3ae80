package reporters

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode/utf8"

	"github.com/xdist-go/xdist/gotest/test2json"
)

const (
	// scanLine is the longest line, newline included, that testjson's bufio.Scanner takes.
	scanLine = 64<<10 - 1
	// outputPiece is the most output that goes into one line, in bytes. JSON makes at most six
	// bytes of one, which leaves 16 KiB for names.
	outputPiece = 8 << 10
	// longName is the length in bytes from which a package or a test is shown by a shorter name:
	// two such names, each byte escaped, still fit in what outputPiece leaves.
	longName = 1 << 10
	// retainedOutput is how much output of one test, and of one package, testjson gets, in bytes.
	// It keeps all it gets until the test has passed, and for failures until the end.
	retainedOutput = 4 << 20
	// allRetained is the same of all tests that have not ended or have failed, and of all packages.
	allRetained = 64 << 20
)

// adapter makes of the events of a run the lines that one testjson scan counts right:
//
//   - Events without a package and `artifacts` are left out: testjson would make a package or a
//     test of them.
//   - Long output is split into several events, since testjson stops at a line of 64 KiB.
//   - Output that comes after its test has ended belongs to the package: testjson would take it for
//     the start of another run of the test, one that never ends.
//   - A benchmark gets an end with that of its package: `go test` writes none, and testjson calls a
//     test without an end a failure.
//
// The zero value is ready for use.
type adapter struct {
	packages map[string]*openPackage
	retained int // bytes that testjson keeps
}

type openPackage struct {
	own  openTest
	open map[string]*openTest // by name; tests that have begun and not ended
	runs []string             // names in open and some that were, in the order of their run events
}

type openTest struct {
	kept   int // bytes handed on
	full   bool
	failed bool
}

// adapted is what became of one event.
type adapted struct {
	events []test2json.Event // for testjson
	excess string            // output beyond what testjson is to keep
}

// add takes the next event.
func (a *adapter) add(e test2json.Event) adapted {
	if e.Package == "" || e.Action == test2json.ActionArtifacts {
		return adapted{}
	}
	e.Package, e.Test = shortName(e.Package), shortName(e.Test)
	p := a.pkg(e.Package)
	switch {
	case e.Action == test2json.ActionRun:
		if p.open[e.Test] == nil {
			p.runs = append(p.runs, e.Test)
		}
		p.open[e.Test] = &openTest{}
	case e.Action == test2json.ActionOutput:
		return a.addOutput(p, e)
	case e.Action == test2json.ActionAttr && len(e.Key)+len(e.Value) > outputPiece:
		return adapted{}
	case e.Terminal() && e.Test != "":
		if t := p.open[e.Test]; t != nil && e.Action == test2json.ActionPass {
			a.retained -= t.kept
		}
		delete(p.open, e.Test)
	case e.Terminal():
		delete(a.packages, e.Package)
		return adapted{events: append(p.endBenchmarks(e), e)}
	case e.Test != "" && p.open[e.Test] == nil:
		return adapted{} // pause, cont or attr of a test that has ended
	}
	return adapted{events: []test2json.Event{e}}
}

func (a *adapter) pkg(name string) *openPackage {
	p := a.packages[name]
	if p == nil {
		p = &openPackage{open: map[string]*openTest{}}
		if a.packages == nil {
			a.packages = map[string]*openPackage{}
		}
		a.packages[name] = p
	}
	return p
}

func (a *adapter) addOutput(p *openPackage, e test2json.Event) adapted {
	t := p.open[e.Test]
	if t == nil {
		t, e.Test = &p.own, ""
	}
	if strings.HasPrefix(strings.TrimLeft(e.Output, " "), "--- FAIL: ") {
		t.failed = true
	}
	if t.full {
		return adapted{excess: e.Output}
	}
	var got adapted
	if a.retained > allRetained {
		t.full, got.excess = true, e.Output
	} else {
		t.kept += len(e.Output)
		a.retained += len(e.Output)
		t.full, got.events = t.kept > retainedOutput, splitOutput(e)
	}
	if t.full {
		e.Output = fmt.Sprintf("[the summary leaves out what comes after these %d bytes]\n", t.kept)
		got.events = append(got.events, e)
	}
	return got
}

// endBenchmarks returns ends for the benchmarks that have none.
func (p *openPackage) endBenchmarks(end test2json.Event) []test2json.Event {
	var events []test2json.Event
	for _, name := range p.runs {
		t := p.open[name]
		if t == nil || !strings.HasPrefix(name, "Benchmark") {
			continue
		}
		delete(p.open, name)
		e := test2json.Event{Time: end.Time, Action: test2json.ActionPass, Package: end.Package, Test: name}
		if t.failed {
			e.Action = test2json.ActionFail
		}
		events = append(events, e)
	}
	return events
}

// splitOutput cuts e between characters into events of at most outputPiece bytes of output.
func splitOutput(e test2json.Event) []test2json.Event {
	var events []test2json.Event
	for rest := e.Output; ; {
		n := len(rest)
		if n > outputPiece {
			n = outputPiece
			for n > outputPiece-utf8.UTFMax && !utf8.RuneStart(rest[n]) {
				n--
			}
		}
		e.Output, rest = rest[:n], rest[n:]
		events = append(events, e)
		if rest == "" {
			return events
		}
	}
}

// shortName returns name, or where that is too long for a line of testjson's a shorter one that no
// other name has.
func shortName(name string) string {
	if len(name) <= longName {
		return name
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	n := longName / 2
	for !utf8.RuneStart(name[n]) {
		n--
	}
	return fmt.Sprintf("%s…%016x", strings.TrimRight(name[:n], "/"), h.Sum64())
}

// scanText is e as testjson reads it, with the newline.
func scanText(e test2json.Event) ([]byte, error) {
	line := append(e.AppendJSON(nil), '\n')
	if len(line) > scanLine {
		return nil, fmt.Errorf("the %s event of %q has %d bytes, testjson takes %d", e.Action, e.Package, len(line), scanLine)
	}
	return line, nil
}

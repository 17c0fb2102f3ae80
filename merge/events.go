package merge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/cover"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Merged is what several jobs have done.
type Merged struct {
	Events   []test2json.Event
	Summary  event.Summary
	Warnings []string

	Benchmarks bool // some have run: no test is no mistake then
}

// Events merges files of KindEvents, in their order; others are passed over. profile, which may be
// nil, is the merged coverage, of which the packages get their percentages.
func Events(files []*File, profile *cover.Profile) (*Merged, error) {
	m := &merger{profile: profile, packages: make(map[string]*pkg), builds: make(map[string]int), verdicts: make(map[string]string)}
	m.out.Summary.Counts = make(map[event.Verdict]int)
	files = slices.DeleteFunc(slices.Clone(files), func(f *File) bool { return f.Kind != KindEvents })
	if err := m.survey(files); err != nil {
		return nil, err
	}
	for i, f := range files {
		for _, e := range f.Events {
			m.event(i, e)
		}
		m.cutOff(i, f.Name)
	}
	m.account()
	m.accountNotRun(files)
	return &m.out, nil
}

// merger is a merge under way.
type merger struct {
	out      Merged
	profile  *cover.Profile
	packages map[string]*pkg
	builds   map[string]int    // the file that tells of a build, by ImportPath: what others say is the same
	order    []string          // top-level tests, as they appear
	verdicts map[string]string // of those, the last action; "" is none
}

// pkg is a package of which several files may have a part.
type pkg struct {
	name        string
	first, last int // files
	started     bool
	open        bool     // the file at hand has not ended it
	endings     []ending // one of each file that has ended it
	held        []test2json.Event
}

// ending is how a file ends a package.
type ending struct {
	end  test2json.Event
	held []test2json.Event // closing lines
}

// survey finds out which files have parts of which package, and tests that more than one has.
func (m *merger) survey(files []*File) error {
	owner := make(map[string]int)
	for i, f := range files {
		for _, e := range f.Events {
			if e.Package == "" {
				continue
			}
			p := m.packages[e.Package]
			if p == nil {
				p = &pkg{name: e.Package, first: i}
				m.packages[e.Package] = p
			}
			p.last = i
			if e.Test == "" || e.Action != test2json.ActionRun && !e.Terminal() {
				continue
			}
			id := gotest.ID(e.Package, e.Test)
			if had, ok := owner[id]; ok && had != i {
				return fmt.Errorf("merge events: %s is in %s and in %s: these are no parts of one run", id, files[had].Name, f.Name)
			}
			owner[id] = i
		}
	}
	return nil
}

// event takes the next event of file i.
func (m *merger) event(i int, e test2json.Event) {
	p := m.packages[e.Package]
	switch {
	case p == nil:
		if by, told := m.builds[e.ImportPath]; !told || by == i {
			m.builds[e.ImportPath] = i
			m.emit(e)
		}
	case e.Test != "":
		m.test(e)
		m.emit(e)
	case e.Action == test2json.ActionStart:
		p.open = true
		if !p.started {
			p.started = true
			m.emit(e)
		}
	case e.Action == test2json.ActionOutput && p.closes(e.Output):
		p.held = append(p.held, e)
	case e.Terminal():
		p.open = false
		p.endings = append(p.endings, ending{e, p.held})
		p.held = nil
		if i == p.last {
			m.end(p)
		}
	default:
		m.emit(e)
	}
}

func (m *merger) emit(e test2json.Event) { m.out.Events = append(m.out.Events, e) }

func (m *merger) test(e test2json.Event) {
	if strings.Contains(e.Test, "/") || e.Action != test2json.ActionRun && !e.Terminal() {
		return
	}
	id := gotest.ID(e.Package, e.Test)
	if _, ok := m.verdicts[id]; !ok {
		m.order = append(m.order, id)
	}
	if e.Terminal() {
		m.verdicts[id] = e.Action
	} else {
		m.verdicts[id] = ""
	}
}

// closes reports whether a line of a package is one of those that end it. go test writes them, or
// the test binary does.
func (p *pkg) closes(line string) bool {
	line = strings.TrimSuffix(line, "\n")
	for _, lead := range []string{"ok  \t" + p.name, "FAIL\t" + p.name, "?   \t" + p.name, "coverage: "} {
		if strings.HasPrefix(line, lead) {
			return true
		}
	}
	return line == "PASS" || line == "FAIL"
}

// cutOff ends what file i has begun and not ended: its job died, and what it had still to say is no
// pass.
func (m *merger) cutOff(i int, name string) {
	for _, path := range m.sorted() {
		p := m.packages[path]
		if p.last < i || p.first > i {
			continue
		}
		if p.open {
			m.out.Warnings = append(m.out.Warnings, fmt.Sprintf("%s ends in the middle of package %s, which counts as failed", name, path))
			zero := 0.0
			p.open = false
			p.endings = append(p.endings, ending{test2json.Event{Action: test2json.ActionFail, Package: path, Elapsed: &zero}, p.held})
			p.held = nil
			if i == p.last {
				m.end(p)
			}
		}
	}
}

// account counts the top-level tests.
func (m *merger) account() {
	s := &m.out.Summary
	for _, id := range m.order {
		if strings.HasPrefix(id[strings.Index(id, "::")+2:], "Benchmark") {
			m.out.Benchmarks = true
			continue
		}
		s.Collected++
		switch m.verdicts[id] {
		case test2json.ActionPass:
			s.Counts[event.Pass]++
		case test2json.ActionSkip:
			s.Counts[event.Skip]++
		default:
			s.Counts[event.Fail]++ // or it has no verdict, because its process died
		}
	}
}

// accountNotRun adds the items that shards have not run. They have no names here.
func (m *merger) accountNotRun(files []*File) {
	n := 0
	for _, f := range files {
		if f.Shard != nil {
			n += f.Shard.NotRun
		}
	}
	s := &m.out.Summary
	if n == 0 {
		return
	}
	s.Collected += n
	s.Counts[event.NotRun] += n
	if s.Failed+s.BuildFailed == 0 {
		s.Stopped = fmt.Sprintf("%d tests were not run", n)
	}
}

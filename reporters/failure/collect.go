package failure

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Finding is one thing that did not pass, as people and CI services are told of it: a test or a
// subtest below which no other failed, a package that failed though none of its tests did, or one
// that did not build.
type Finding struct {
	Package  string // as events have it
	Test     string // "" is the package
	Gateway  string
	Platform string
	Unbuilt  string // why a package has no binary: "build failed" or "setup failed"; "" is all else
	Place    Place
	Path     string // of Place on this machine, absolute; "" when it is not known
}

// Alone is how many of the findings are packages that failed though none of their tests did.
func Alone(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.Test == "" && f.Unbuilt == "" {
			n++
		}
	}
	return n
}

// Ended is an item, a package or a build that has ended without success, with all that it has
// printed.
type Ended struct {
	event.Test
	Findings []Finding // never empty
	Parts    []Part    // the item itself, and those of its subtests that failed, in the order in which they began
	Compiler string    // what the compiler said of a package that did not build
}

// ID is the test id, or the import path.
func (e *Ended) ID() string {
	if e.Test.Test == "" {
		return e.Package
	}
	return gotest.ID(e.Package, e.Test.Test)
}

// Text is what the item and its subtests have printed, without the lines of go test but for those
// that begin a subtest that failed. What the compiler said is not in it.
func (e *Ended) Text() string {
	var b strings.Builder
	for i := range e.Parts {
		p := &e.Parts[i]
		if p.Name != e.Test.Test {
			fmt.Fprintf(&b, "    --- FAIL: %s (%.2fs)\n", p.Name, p.Elapsed)
		}
		for line := range strings.Lines(p.Text()) {
			trimmed := strings.TrimSpace(line)
			switch {
			case p.Name != "" && strings.HasPrefix(trimmed, "--- FAIL: "+p.Name+" ("), trimmed == "FAIL", strings.HasPrefix(line, "FAIL\t"), p.Name == "" && trimmed == "PASS":
				continue
			}
			b.WriteString(line)
			if !strings.HasSuffix(line, "\n") {
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// Part is what a test or a subtest has printed, or with no name a package.
type Part struct {
	Name    string
	Elapsed float64 // seconds
	out     *Clip
	ended   bool
	order   int
}

// Text is what the part has printed, without the lines that go test puts between.
func (p *Part) Text() string { return WithoutFraming(p.out.String()) }

// collector finds in the events of a run what did not pass. The output of what passes is dropped as
// it passes.
type collector struct {
	Sources *Sources
	Limit   int // bytes of output that are kept of each test
	Total   int // the same of all that have not ended, or have failed in an item that has not; 0 is four times Limit

	room     *Room
	compiled *Room                   // of builds
	packages map[string]*openPackage // by name in the events; those that have begun and not ended
	builds   map[string]*Clip        // the compiler's text by ImportPath; kept, as many packages can fail of one build
	free     *openItem               // empty, for the next that begins, or nil
	clip     *Clip                   // for its output, or nil
}

type openPackage struct {
	own   *Clip
	items map[string]*openItem // by test
	begun int
	bad   bool // an item of it has failed
}

// openItem is a top-level test that has begun, with its subtests.
type openItem struct {
	Part
	subs map[string]*Part // by test; those that passed or skipped are gone
}

// Add takes the next event and returns what has ended with it and failed, or nil.
func (c *collector) Add(t *event.Test) *Ended {
	switch {
	case t.Action == test2json.ActionBuildOutput:
		c.build(t.ImportPath).Add(t.Output)
		return nil
	case t.Package == "":
		return nil
	}
	p := c.pkg(t.Package)
	switch {
	case t.Action == test2json.ActionRun:
		c.begin(p, t.Test)
	case t.Action == test2json.ActionOutput:
		p.output(t.Test, t.Output)
	case t.Terminal() && t.Test == "":
		delete(c.packages, t.Package)
		p.release()
		if t.Action == test2json.ActionFail && !p.bad {
			return c.endPackage(p, t)
		}
	case t.Terminal():
		return c.endTest(p, t)
	}
	return nil
}

func (c *collector) pkg(name string) *openPackage {
	p := c.packages[name]
	if p == nil {
		if c.packages == nil {
			c.packages = map[string]*openPackage{}
		}
		p = &openPackage{own: c.newClip(), items: map[string]*openItem{}}
		c.packages[name] = p
	}
	return p
}

func (c *collector) build(path string) *Clip {
	b := c.builds[path]
	if b == nil {
		if c.builds == nil {
			c.builds, c.compiled = map[string]*Clip{}, NewRoom(c.Limit)
		}
		b = c.compiled.NewClip(c.Limit)
		c.builds[path] = b
	}
	return b
}

// part is that of a test that has begun, or nil.
func (p *openPackage) part(test string) *Part {
	root, _, sub := strings.Cut(test, "/")
	it := p.items[root]
	switch {
	case it == nil:
		return nil
	case sub:
		return it.subs[test]
	case it.out == nil: // a subtest began before it
		return nil
	}
	return &it.Part
}

// begin begins a part. It is nil for a subtest for which there is no room.
func (c *collector) begin(p *openPackage, test string) *Part {
	p.begun++
	root, _, sub := strings.Cut(test, "/")
	it := p.items[root]
	if it == nil {
		it = c.newItem()
		p.items[root] = it
	}
	if sub {
		if it.subs == nil {
			it.subs = map[string]*Part{}
		}
		if had := it.subs[test]; had != nil {
			had.out.Release()
			delete(it.subs, test)
		}
		q := &Part{Name: test, out: c.newClip(), order: p.begun}
		if !q.out.of(test) {
			return nil
		}
		it.subs[test] = q
		return q
	}
	out := it.out
	if out == nil {
		out, c.clip = c.clip, nil
	}
	if out == nil {
		out = NewClip(c.Limit)
	}
	out.reset(c.all())
	out.of(test)
	it.Part = Part{Name: test, out: out, order: p.begun}
	return &it.Part
}

// newItem takes the last one that has passed again: most tests pass.
func (c *collector) newItem() *openItem {
	it := c.free
	if c.free = nil; it == nil {
		return &openItem{}
	}
	return it
}

// reuse keeps an item that has passed, and the memory of its output, for the next one.
func (c *collector) reuse(it *openItem) {
	c.clip = it.out
	clear(it.subs)
	it.Part = Part{}
	c.free = it
}

// all is the room of all output that is kept.
func (c *collector) all() *Room {
	if c.room == nil {
		c.room = NewRoom(cmp.Or(c.Total, 4*c.Limit))
	}
	return c.room
}

func (c *collector) newClip() *Clip { return c.all().NewClip(c.Limit) }

// release gives back what the package has of the room.
func (p *openPackage) release() {
	p.own.Release()
	for _, it := range p.items {
		it.release()
	}
}

func (it *openItem) release() {
	if it.out != nil {
		it.out.Release()
	}
	for _, q := range it.subs {
		q.out.Release()
	}
}

func (p *openPackage) output(test, text string) {
	if q := p.part(test); test != "" && q != nil && !q.ended {
		q.out.Add(text)
		return
	}
	p.own.Add(text)
}

// endTest ends a test. A subtest that failed waits for the item that it belongs to.
func (c *collector) endTest(p *openPackage, t *event.Test) *Ended {
	q := p.part(t.Test)
	if q == nil {
		if q = c.begin(p, t.Test); q == nil {
			return nil
		}
	}
	q.ended = true
	if t.Elapsed != nil {
		q.Elapsed = *t.Elapsed
	}
	bad := t.Action == test2json.ActionFail
	root, _, sub := strings.Cut(t.Test, "/")
	it := p.items[root]
	if sub {
		if !bad {
			if q := it.subs[t.Test]; q != nil {
				q.out.Release()
				delete(it.subs, t.Test)
			}
		}
		return nil
	}
	delete(p.items, root)
	it.release()
	if !bad {
		c.reuse(it)
		return nil
	}
	p.bad = p.bad || !t.Again
	e := &Ended{Test: *t, Parts: []Part{it.Part}}
	for _, q := range it.subs {
		e.Parts = append(e.Parts, *q)
	}
	slices.SortFunc(e.Parts, func(a, b Part) int { return a.order - b.order })
	c.locate(e)
	c.explain(e)
	return e
}

// locate finds where and why the parts have failed below which no other did.
func (c *collector) locate(e *Ended) {
	above := map[string]bool{} // tests that have a subtest that failed
	for _, q := range e.Parts {
		for name := q.Name; ; {
			i := strings.LastIndexByte(name, '/')
			if i < 0 || above[name[:i]] {
				break
			}
			name = name[:i]
			above[name] = true
		}
	}
	for i := range e.Parts {
		if !above[e.Parts[i].Name] {
			e.Findings = append(e.Findings, c.finding(e, &e.Parts[i]))
		}
	}
}

// finding says where and why a part of an item failed.
func (c *collector) finding(e *Ended, q *Part) Finding {
	f := Finding{Package: e.Package, Test: q.Name, Gateway: e.Gateway, Platform: e.Platform}
	f.Place = Find(q.out.String(), c.Sources.Lines(e.Package))
	f.Path = c.Sources.Find(e.Package, f.Place.File)
	return f
}

// explain gives a failure that says nothing the place that its item tells of: a panic in a subtest
// is often printed by the item.
func (c *collector) explain(e *Ended) {
	var item *Finding
	for i := range e.Findings {
		f := &e.Findings[i]
		if f.Place != (Place{}) || f.Test == e.Parts[0].Name {
			continue
		}
		if item == nil {
			found := c.finding(e, &e.Parts[0]) // the item itself begins first
			item = &found
		}
		f.Place, f.Path = item.Place, item.Path
	}
}

// endPackage ends a package that failed though none of its tests did.
func (c *collector) endPackage(p *openPackage, t *event.Test) *Ended {
	e := &Ended{Test: *t, Parts: []Part{{out: p.own, ended: true}}}
	if t.Elapsed != nil {
		e.Parts[0].Elapsed = *t.Elapsed
	}
	for _, it := range p.items { // what had begun, in a process that ended in the middle
		if it.out != nil && !it.ended {
			e.Parts = append(e.Parts, it.Part)
		}
		for _, q := range it.subs {
			if !q.ended {
				e.Parts = append(e.Parts, *q)
			}
		}
	}
	slices.SortFunc(e.Parts, func(a, b Part) int { return a.order - b.order })
	f := c.finding(e, &e.Parts[0])
	if t.FailedBuild != "" {
		f.Unbuilt = "build failed"
		if strings.Contains(p.own.String(), "[setup failed]") {
			f.Unbuilt = "setup failed"
		}
		if text := c.builds[t.FailedBuild]; text != nil {
			e.Compiler = text.String()
			f.Place = Compiled(e.Compiler)
			f.Path = c.Sources.Find(t.Package, f.Place.File)
		}
	}
	e.Findings = []Finding{f}
	return e
}

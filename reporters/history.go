package reporters

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/history"
	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/scheduler/event"
)

// maxRemembered is how many tests of a run, subtests included, History keeps; what comes later is
// not remembered.
const maxRemembered = 200_000

// maxRememberedNames bounds the ids of these tests, in bytes.
const maxRememberedNames = 16 << 20

// HistoryConfig says what History does. Book must be set.
type HistoryConfig struct {
	Book    *history.Book // gets the run
	Partial bool          // only some subtests were asked for
	Narrow  bool          // only some tests of a package were asked for
	Warn    func(error)   // is told what keeps the run from being recorded; nil: nobody is
	// TimingsFile gets the export of Book, this run included; "": there is none. It is replaced in
	// one step by Close; its directory is made.
	TimingsFile string
}

// History collects what a run teaches and adds it to a Book at the end, also when it was
// interrupted. That it cannot be recorded is no error of the run.
type History struct {
	cfg  HistoryConfig
	file *atomicfile.File // of TimingsFile, or nil
	run  history.Run

	clock    history.Clock
	stood    time.Duration             // that the run stood still
	begun    time.Time                 // when the first process began
	foreseen []event.Estimate          // from then on
	tests    map[string]map[string]int // places in run.Tests by package, as it is shown, and test
	rounds   []int                     // of each of run.Tests, that ended
	names    int                       // bytes of their ids
	packages map[string]*history.PackageRun
	known    []*history.PackageRun
	hosts    map[string]int       // index in run.Hosts
	units    map[string]*openUnit // by gateway
	shown    []string             // the packages of run.Units
	bad      map[string]bool      // packages of which an item has failed, by the name that is shown
	broken   map[packagePlace]bool
	ends     map[packagePlace][]event.Test // of packages
}

// openUnit is what a gateway runs.
type openUnit struct {
	shown       string
	started     time.Time // by the controller's clock
	first, last time.Time // events of tests, by the gateway's clock
	// How long the run stood still since started: in all, until first and until last.
	stood, toFirst, toLast time.Duration
}

// NewHistory returns a History for cfg. It makes sure that cfg.TimingsFile can be written.
func NewHistory(cfg HistoryConfig) (*History, error) {
	h := &History{
		cfg: cfg, tests: make(map[string]map[string]int), packages: make(map[string]*history.PackageRun),
		hosts: make(map[string]int), units: make(map[string]*openUnit), bad: make(map[string]bool),
		broken: make(map[packagePlace]bool), ends: make(map[packagePlace][]event.Test),
	}
	if cfg.TimingsFile != "" {
		var err error
		if h.file, err = atomicfile.New(cfg.TimingsFile); err != nil {
			return nil, fmt.Errorf("prepare timings %q: %w", cfg.TimingsFile, err)
		}
	}
	return h, nil
}

// Handle keeps what is to be learned from e. It returns no error.
func (h *History) Handle(e event.Event) error {
	switch e := e.(type) {
	case event.RunStarted:
		h.run.ID, h.run.Time, h.run.Command, h.run.Dist = e.RunID, e.Time, e.Command, e.Dist
	case event.GatewayUp:
		h.up(e)
	case event.UnitStarted:
		h.unitStarted(e)
	case event.Resumed:
		h.resumed(e)
	case event.Estimate:
		if !h.begun.IsZero() {
			h.foreseen = append(h.foreseen, e)
		}
	case event.Progress:
		h.progress(e)
	case event.UnitEnded:
		h.unitEnded(e)
	case event.Test:
		h.test(e)
	case event.Learned:
		h.run.Lessons = append(h.run.Lessons, e.Lesson)
	case event.RunEnded:
		h.ended(e)
	}
	return nil
}

// Close records the run and writes the timings. Its error is about these.
func (h *History) Close() error {
	for i, n := range h.rounds {
		if n > 1 {
			h.run.Tests[i].Elapsed /= time.Duration(n)
		}
	}
	for _, p := range h.known {
		h.run.Packages = append(h.run.Packages, *p)
	}
	if err := h.cfg.Book.Record(h.run); err != nil && h.cfg.Warn != nil {
		h.cfg.Warn(err)
	}
	if h.file == nil {
		return nil
	}
	if err := h.file.Replace(func(w io.Writer) error { return h.cfg.Book.Export(w) }); err != nil {
		return fmt.Errorf("write timings %q: %w", h.cfg.TimingsFile, err)
	}
	return nil
}

func (h *History) up(e event.GatewayUp) {
	i, ok := h.hosts[e.Hostname]
	if !ok {
		i = len(h.run.Hosts)
		h.hosts[e.Hostname] = i
		h.run.Hosts = append(h.run.Hosts, history.HostRun{Name: e.Hostname, Start: e.Time.Sub(h.run.Time) - h.stood})
	}
	h.run.Hosts[i].Gateways = append(h.run.Hosts[i].Gateways, e.Gateway)
}

func (h *History) unitStarted(e event.UnitStarted) {
	if h.begun.IsZero() {
		h.begun = e.Time
	}
	p := h.pkg(e.Package)
	p.Key = cmp.Or(e.Key, p.Key)
	h.units[e.Gateway] = &openUnit{shown: e.Package, started: e.Time}
	h.run.Units = append(h.run.Units, history.UnitRun{Gateway: e.Gateway, Package: p.Package, Tests: e.Tests, Skip: e.Skip})
	h.shown = append(h.shown, e.Package)
}

// pkg is what is known of a package by the name that is shown of it.
func (h *History) pkg(shown string) *history.PackageRun {
	p := h.packages[shown]
	if p == nil {
		name, _, platform := history.SplitShown(shown)
		p = &history.PackageRun{Platform: platform, Package: name}
		h.packages[shown] = p
		h.known = append(h.known, p)
	}
	return p
}

func (h *History) progress(e event.Progress) {
	u := h.units[e.Gateway]
	if u == nil || u.shown != e.Package {
		return
	}
	if u.first.IsZero() {
		u.first, u.toFirst = e.Time, u.stood
	}
	u.last, u.toLast = e.Time, u.stood
}

// resumed leaves out of all that is open what the run stood still: the order of events tells, as
// the clocks of gateways may be off.
func (h *History) resumed(e event.Resumed) {
	h.stood += e.Stood
	for _, u := range h.units {
		u.stood += e.Stood
	}
}

// unitEnded finds what the process cost beyond its tests. The least of a package is its process:
// files that had to be sent first are not.
func (h *History) unitEnded(e event.UnitEnded) {
	u := h.units[e.Gateway]
	if u == nil || u.shown != e.Package {
		return
	}
	delete(h.units, e.Gateway)
	cost := e.Time.Sub(u.started) - u.stood - (u.last.Sub(u.first) - (u.toLast - u.toFirst))
	if p := h.pkg(e.Package); cost > 0 && (p.Process == 0 || cost < p.Process) {
		p.Process = cost
	}
}

func (h *History) test(e event.Test) {
	if e.Package == "" {
		return
	}
	if p := h.pkg(e.Package); p.Platform == "" {
		p.Platform = e.Platform
	}
	if e.Test == "" {
		h.packageEnded(e)
		return
	}
	h.bad[e.Package] = h.bad[e.Package] || e.Action == test2json.ActionFail && !strings.Contains(e.Test, "/") && !e.Again
	took, ended := h.clock.Event(e.Package, e.Test, e.Action, e.Time, e.Elapsed)
	if !ended {
		return
	}
	if i, ok := h.place(e); ok {
		h.count(i, e, took)
	}
}

// place is where in run.Tests a test is, which is the order in which they end first.
func (h *History) place(e event.Test) (i int, ok bool) {
	of := h.tests[e.Package]
	if i, ok = of[e.Test]; ok {
		return i, true
	}
	if h.names += len(e.Package) + len(e.Test); len(h.run.Tests) >= maxRemembered || h.names > maxRememberedNames {
		return 0, false
	}
	if of == nil {
		of = make(map[string]int)
		h.tests[e.Package] = of
	}
	i = len(h.run.Tests)
	of[e.Test] = i
	name, _, _ := history.SplitShown(e.Package)
	h.run.Tests = append(h.run.Tests, history.TestRun{Platform: e.Platform, Package: name, Test: e.Test})
	h.rounds = append(h.rounds, 0)
	return i, true
}

// packageEnded keeps whether the package failed by itself, on whatever gateway.
func (h *History) packageEnded(e event.Test) {
	if !e.Terminal() {
		return
	}
	name, _, platform := history.SplitShown(e.Package)
	at := packagePlace{name, cmp.Or(e.Platform, platform)}
	h.broken[at] = h.broken[at] || e.Action == test2json.ActionFail && !h.bad[e.Package]
	h.ends[at] = append(h.ends[at], e)
}

// learnBroken has a lesson for each package that failed by itself, and for each that does not any
// more: all of it has run, everywhere, and passed.
func (h *History) learnBroken(incomplete map[string]bool) {
	for at, ends := range h.ends {
		whole := !h.cfg.Narrow && !slices.ContainsFunc(ends, func(e event.Test) bool {
			return e.Action != test2json.ActionPass || incomplete[e.Package]
		})
		broken := h.broken[at]
		if broken || whole && h.cfg.Book.Package(at.platform, at.pkg).Broken {
			h.run.Lessons = append(h.run.Lessons, history.Lesson{Platform: at.platform, Package: at.pkg, Kind: history.Broken, Undone: !broken})
		}
	}
}

// halfTime is how long processes were to run as the plan had it at half of that time, in relation
// to how long they did; 0 where it said nothing, and of a run that was ended or stood still.
func (h *History) halfTime(e event.RunEnded) float64 {
	took := e.Time.Sub(h.begun)
	var last event.Estimate
	for _, f := range h.foreseen {
		if f.Time.Sub(h.begun) <= took/2 {
			last = f
		}
	}
	if last.Time.IsZero() || h.stood > 0 || e.Fatal != nil || e.Summary.Stopped != "" || e.Summary.Interrupted {
		return 0
	}
	return last.Time.Add(last.Left).Sub(h.begun).Seconds() / took.Seconds()
}

type packagePlace struct{ pkg, platform string }

// count adds a round of a test, or begins anew with what another attempt says.
func (h *History) count(i int, e event.Test, took time.Duration) {
	t := &h.run.Tests[i]
	if e.Attempt != t.Attempts || e.Gateway != t.Gateway {
		t.Attempts, t.Gateway, t.Elapsed, t.Verdict = e.Attempt, e.Gateway, 0, ""
		h.rounds[i] = 0
	}
	h.rounds[i]++
	t.Elapsed += took
	switch {
	case e.Action == test2json.ActionFail:
		t.Verdict = history.Fail
		t.Failures++
	case e.Action == test2json.ActionPass && t.Verdict != history.Fail, t.Verdict == "":
		t.Verdict = history.Verdict(e.Action)
	}
}

// ended takes the account of the run, which is right about verdicts.
func (h *History) ended(e event.RunEnded) {
	h.learnBroken(e.Summary.Incomplete())
	h.run.Elapsed, h.run.Stopped, h.run.Partial = e.Elapsed, e.Summary.Stopped, h.cfg.Partial
	h.run.Foreseen = h.halfTime(e)
	for _, d := range e.Summary.Durations {
		pkg, test, _ := strings.Cut(d.ID, "::")
		i, ok := h.tests[pkg][test]
		if !ok {
			continue
		}
		t := &h.run.Tests[i]
		t.Verdict, t.Gateway, t.Platform = history.Verdict(d.Verdict), cmp.Or(d.Gateway, t.Gateway), cmp.Or(d.Platform, t.Platform)
		if t.Expected = d.Expected; t.Expected == 0 {
			known, _ := h.cfg.Book.Test(t.Platform, t.Package, t.Test)
			t.Expected = known.Cost
		}
	}
	for i := range h.run.Hosts {
		h.run.Hosts[i].Link = e.Summary.Links[h.run.Hosts[i].Name]
	}
	for i, shown := range h.shown {
		h.run.Units[i].Platform = h.pkg(shown).Platform
	}
	h.known = slices.DeleteFunc(h.known, func(p *history.PackageRun) bool { return p.Key == "" && p.Process == 0 })
}

package reporters

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gotest.tools/gotestsum/testjson"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// defaultOutputLimit is JUnitConfig.OutputLimit's default, in bytes: more than a person reads, and
// what CI servers still take.
const defaultOutputLimit = 4 << 20

// outputsLimit is how much output of all tests and packages a JUnit keeps, in bytes: of what
// failed, and with EveryTest of all. Beyond it are the ends of failures alone.
const outputsLimit = 64 << 20

// SystemOut says whether a JUnit report has the output of tests that passed.
type SystemOut int

// The choices of SystemOut.
const (
	FailuresOnly SystemOut = iota // output is in the failure it belongs to
	EveryTest                     // and in a <system-out> of each test and package
)

// JUnitConfig says what JUnit writes. File must be set.
type JUnitConfig struct {
	File      string // replaced in one step by Close; its directory is made
	Name      string // of the whole report; "": no name
	SystemOut SystemOut
	// OutputLimit is how many bytes of one test's output are kept; the middle of a longer one is
	// left out. 0: 4 MiB, negative: none are kept. Of all tests together 64 MiB are kept, and
	// beyond these the last 4 KiB of each until it is twice as much.
	OutputLimit int
	// Schema says what is written beside what all readers take.
	Schema JUnitSchema
	// Suites and Classes say how the package is called that a testsuite is of, and that is the
	// classname of a testcase.
	Suites, Classes PackageName
	// HideEmpty leaves out packages without testcases.
	HideEmpty bool
	// Root is what the files of failures are relative to; "" is the directory of the run.
	Root string
}

// PackageName is a way to call a package, as gotestsum has them.
type PackageName string

// The ways. The zero value is FullName.
const (
	FullName     PackageName = "full"     // the import path
	RelativeName PackageName = "relative" // from the module of the working directory
	ShortName    PackageName = "short"    // the last element
)

// PackageNames returns the ways to call a package.
func PackageNames() []string {
	return []string{string(FullName), string(RelativeName), string(ShortName)}
}

// of calls a package, which events may have with its platform or gateway.
func (n PackageName) of(shown string) string {
	name, suffix, several := strings.Cut(shown, " ")
	switch n {
	case RelativeName:
		name = testjson.RelativePackagePath(name)
	case ShortName:
		name = path.Base(name)
	}
	if several {
		name += " " + suffix
	}
	return name
}

// JUnitSchema is a dialect of JUnit XML.
type JUnitSchema string

// The dialects.
const (
	// JUnitExtended has file, line and timestamp of a testcase, and its properties, as GitLab,
	// GitHub Actions and pytest's xunit1 have them.
	JUnitExtended JUnitSchema = "extended"
	// JUnitJenkins has nothing that the schema of Jenkins' xUnit plugin does not have.
	JUnitJenkins JUnitSchema = "jenkins"
)

// ParseJUnitSchema returns the dialect of a name, "" for JUnitExtended.
func ParseJUnitSchema(name string) (JUnitSchema, error) {
	switch s := JUnitSchema(name); s {
	case "":
		return JUnitExtended, nil
	case JUnitExtended, JUnitJenkins:
		return s, nil
	}
	return "", fmt.Errorf("JUnit schema %q: want %s or %s", name, JUnitExtended, JUnitJenkins)
}

// JUnit writes a run as JUnit XML in the form that the parsers of Jenkins and GitLab take: a
// testsuite per package, a testcase per test and subtest with its gateway, host and attempt as
// properties; failures of earlier attempts are in it as flakyFailure or rerunFailure. What go test
// tells of a package only becomes a testcase too: `[build failed]` with the compiler's text, and
// `TestMain` when a package fails though none of its tests did. Items that did not run are skipped
// ones with the reason. A shard that came to its end has its Trailer as properties of the whole
// report.
type JUnit struct {
	cfg     JUnitConfig
	file    *atomicfile.File
	sources failure.Sources

	started  time.Time
	elapsed  time.Duration
	hostname string                   // the controller's
	hosts    map[string]string        // by gateway
	builds   map[string]*failure.Clip // the compiler's text by ImportPath; kept, as many packages can fail of one build
	suites   map[string]*suite        // by package
	room     *failure.Room            // of all output
	summary  event.Summary
	shard    string // "" when the run is none
	ended    bool   // it came to its end

	stamped struct { // the last time that was made a text
		at   time.Time
		text string
	}
}

// NewJUnit returns a JUnit for cfg. It makes sure that cfg.File can be written, so that a wrong
// path is known before the run.
func NewJUnit(cfg JUnitConfig) (*JUnit, error) {
	t, err := atomicfile.New(cfg.File)
	if err != nil {
		return nil, fmt.Errorf("prepare JUnit report %q: %w", cfg.File, err)
	}
	switch {
	case cfg.OutputLimit == 0:
		cfg.OutputLimit = defaultOutputLimit
	case cfg.OutputLimit < 0:
		cfg.OutputLimit = 0
	}
	return &JUnit{
		cfg: cfg, file: t, hosts: map[string]string{}, builds: map[string]*failure.Clip{}, suites: map[string]*suite{},
		room: failure.NewRoom(outputsLimit),
	}, nil
}

// Handle keeps what the report needs of e. It returns no error.
func (j *JUnit) Handle(e event.Event) error {
	j.sources.Learn(e)
	switch e := e.(type) {
	case event.RunStarted:
		j.started, j.hostname, j.shard = e.Time, e.Hostname, e.Shard
	case event.GatewayUp:
		j.hosts[e.Gateway] = e.Hostname
	case event.Test:
		j.test(e)
	case event.RunEnded:
		j.elapsed, j.summary = e.Elapsed, e.Summary
		j.ended = whole(e)
	}
	return nil
}

// Close writes the report.
func (j *JUnit) Close() error {
	if err := j.file.Replace(j.write); err != nil {
		return fmt.Errorf("write JUnit report %q: %w", j.cfg.File, err)
	}
	return nil
}

// suite is one package.
type suite struct {
	name        string
	platform    string          // "" when the events do not tell
	gateways    map[string]bool // that ran its tests
	start       time.Time
	elapsed     float64 // seconds
	result      string  // the action that ended it, "" while it runs
	failedBuild string
	out         *failure.Clip        // what belongs to no test
	open        map[string]*testcase // begun and not ended, by test
	cases       []*testcase          // ended, in that order
	made        *testcase            // the one of them that stands for the package, or nil
}

// testcase is one run of one test.
type testcase struct {
	name     string
	gateway  string
	started  int64   // nanoseconds of Unix; 0 is not known
	elapsed  float64 // seconds
	attempt  int32
	outcome  outcome
	hasFails bool          // its output has a result line that says FAIL
	again    bool          // another attempt follows
	out      *failure.Clip // nil when it is not wanted any more
	*remarks
}

// remarks are what there is to say of few testcases. A report has very many that passed.
type remarks struct {
	file    string // where it failed, from the working directory; "" is not known
	line    int
	message string // "": found in out
	attrs   []xmlProperty
	earlier []*testcase // attempts that failed before this one
}

// noRemarks are those of a testcase of which there is nothing to say. They are never changed.
var noRemarks remarks

// remark returns remarks of the testcase that can be changed.
func (c *testcase) remark() *remarks {
	if c.remarks == &noRemarks {
		c.remarks = &remarks{}
	}
	return c.remarks
}

type outcome uint8

const (
	passed outcome = iota
	skipped
	failed  // the test said so
	errored // something else did: a crash, a compiler
)

func (j *JUnit) test(t event.Test) {
	if t.Package == "" {
		if t.Action == test2json.ActionBuildOutput {
			if j.builds[t.ImportPath] == nil {
				j.builds[t.ImportPath] = j.room.NewClip(j.cfg.OutputLimit)
			}
			j.builds[t.ImportPath].Add(t.Output)
		}
		return
	}
	s := j.suite(t.Package)
	if s.start.IsZero() {
		s.start = t.Time
	}
	s.platform = t.Platform
	if t.Gateway != "" {
		s.gateways[t.Gateway] = true
	}
	switch {
	case t.Action == test2json.ActionRun:
		if had := s.open[t.Test]; had != nil {
			had.out.Release()
		}
		s.open[t.Test] = j.newCase(t)
	case t.Action == test2json.ActionOutput:
		s.output(t)
	case t.Action == test2json.ActionAttr && s.open[t.Test] != nil:
		c := s.open[t.Test]
		c.remark().attrs = append(c.attrs, xmlProperty{Name: t.Key, Value: t.Value})
	case t.Terminal() && t.Test != "":
		j.endTest(s, t)
	case t.Terminal():
		j.endPackage(s, t)
	}
}

func (j *JUnit) suite(name string) *suite {
	s := j.suites[name]
	if s == nil {
		s = &suite{name: name, out: j.room.NewClip(j.cfg.OutputLimit), open: map[string]*testcase{}, gateways: map[string]bool{}}
		j.suites[name] = s
	}
	return s
}

func (j *JUnit) newCase(t event.Test) *testcase {
	c := &testcase{name: t.Test, gateway: t.Gateway, attempt: int32(t.Attempt), out: j.room.NewClip(j.cfg.OutputLimit), remarks: &noRemarks}
	if !t.Time.IsZero() {
		c.started = t.Time.UnixNano()
	}
	return c
}

func (s *suite) output(t event.Test) {
	if c := s.open[t.Test]; c != nil {
		c.hasFails = c.hasFails || strings.HasPrefix(strings.TrimLeft(t.Output, " "), "--- FAIL: ")
		c.out.Add(t.Output)
		return
	}
	s.out.Add(t.Output)
}

func (j *JUnit) endTest(s *suite, t event.Test) {
	c := s.open[t.Test]
	if c == nil {
		c = j.newCase(t)
	}
	c.elapsed, c.again = seconds(t.Elapsed), t.Again
	switch t.Action {
	case test2json.ActionFail:
		c.outcome = failed
	case test2json.ActionSkip:
		c.outcome = skipped
	}
	j.end(s, c)
}

// locate finds where a testcase failed, and why when nothing else says so.
func (j *JUnit) locate(s *suite, c *testcase) {
	p := failure.Find(c.out.String(), j.sources.Lines(s.name))
	if c.name == "[build failed]" || c.name == "[setup failed]" {
		p = failure.Compiled(c.out.String())
	}
	base := p.Line > 0 && !strings.ContainsAny(p.File, `/\`)
	switch {
	case c.message != "" || p.Message == "":
	case base:
		c.remark().message = fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	default:
		c.remark().message = p.Message
	}
	if p.Line == 0 {
		return
	}
	at := c.remark()
	at.file, at.line = p.File, p.Line
	if path := j.sources.Find(s.name, p.File); path != "" {
		at.file = filepath.ToSlash(j.shown(path))
	}
}

// shown is a file as the report has it.
func (j *JUnit) shown(file string) string {
	if j.cfg.Root != "" {
		if rel, err := filepath.Rel(j.cfg.Root, file); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return j.sources.Shown(file)
}

// end moves c to the cases that have ended. The output of one that passed goes now, or a run would
// end with all the output of all tests in memory.
func (j *JUnit) end(s *suite, c *testcase) {
	delete(s.open, c.name)
	s.cases = append(s.cases, c)
	if c.bad() {
		j.locate(s, c)
	}
	if c.outcome == passed && j.cfg.SystemOut != EveryTest {
		c.out.Release()
		c.out = nil
	}
}

func (j *JUnit) endPackage(s *suite, t event.Test) {
	s.result, s.elapsed, s.failedBuild = t.Action, seconds(t.Elapsed), t.FailedBuild
	for _, name := range slices.Sorted(maps.Keys(s.open)) {
		c := s.open[name]
		switch benchmark := strings.HasPrefix(name, "Benchmark"); {
		case benchmark && !c.hasFails: // go test -json writes no end of a benchmark
		case benchmark:
			c.outcome = failed
		default:
			c.outcome = errored
			c.remark().message = packageEnded
		}
		j.end(s, c)
	}
	j.standIn(s)
	if t.Action != test2json.ActionFail && j.cfg.SystemOut != EveryTest {
		s.out.Release()
		s.out = j.room.NewClip(j.cfg.OutputLimit)
	}
}

// packageEnded is the message of a test that had begun and not ended when its package did.
const packageEnded = "no verdict: the package ended before the test did"

// standIn adds a testcase for a package that failed though none of its tests did.
func (j *JUnit) standIn(s *suite) {
	if s.result == test2json.ActionFail && !slices.ContainsFunc(s.cases, s.counts) {
		s.made = j.packageFailure(s)
		j.locate(s, s.made)
		s.cases = append(s.cases, s.made)
	}
}

// packageFailure makes the testcase of a package that failed though none of its tests did.
func (j *JUnit) packageFailure(s *suite) *testcase {
	c := &testcase{name: "TestMain", outcome: failed, elapsed: s.elapsed, out: s.out, remarks: &remarks{}}
	if s.failedBuild == "" {
		return c
	}
	c.outcome = errored
	c.remark().message = "build failed"
	if strings.Contains(s.out.String(), "[setup failed]") {
		c.remark().message = "setup failed"
	}
	c.name, c.elapsed = "["+c.message+"]", 0
	if text := j.builds[s.failedBuild]; text != nil {
		c.out = text
	}
	return c
}

// counts reports whether c is a failure of the package: that of an attempt which is followed by
// another one is none.
func (s *suite) counts(c *testcase) bool {
	return c.bad() && !slices.ContainsFunc(s.cases, func(root *testcase) bool {
		return root.again && root.name == c.root() && root.attempt == c.attempt
	})
}

// root is the top-level test that c belongs to.
func (c *testcase) root() string {
	root, _, _ := strings.Cut(c.name, "/")
	return root
}

func (c *testcase) bad() bool { return c.outcome == failed || c.outcome == errored }

func seconds(elapsed *float64) float64 {
	if elapsed == nil {
		return 0
	}
	return *elapsed
}

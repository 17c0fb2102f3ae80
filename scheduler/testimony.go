package scheduler

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// An agent is not trusted. What a worker reports is compared with what it was asked and with what
// it has said before; what no worker would say ends its node. A test can print what looks like the
// end of any other test, so that is no lie: it does not count (handleOther).

// conduct is how a node behaves.
type conduct struct {
	refusal  error // why its reports are not read any more, or nil: it is about to end
	warnings int   // of its host
	account  *account
	profiled int // bytes that are kept of its cover profiles, as they were when they came
}

// testimony is what a worker has said of a unit, in so far as the rest must agree with it.
type testimony struct {
	known map[string]bool // tests that have begun, without their subtests
	ended bool            // its result has come
	held  int             // bytes of events that are held
	names int             // bytes of names of subtests that were shown
	shown int             // what is kept of them
	lost  int             // bytes that were held and left out
	gone  int             // what of them was no output
	open  opened
	// strangers is how many bytes are kept of tests that the package does not have.
	strangers int

	covered *profile // of the process, when its result has come
}

// disbelieve ends a node for what it has reported.
func (c *controller) disbelieve(n *node, cause error) {
	c.dismiss(n, fmt.Errorf("refuse what its agent reports: %w", cause))
}

// dismiss ends a node, whose reports are not read any more. Its unit ends with it, as that of a
// lost agent.
func (c *controller) dismiss(n *node, cause error) {
	n.refusal = cause
	if n.job != nil {
		n.job.dropProfile()
	}
	c.idle = slices.DeleteFunc(c.idle, func(other *node) bool { return other == n })
	n.finish()
}

// examine returns why a report cannot be true, or nil.
func (c *controller) examine(n *node, r *wire.Report) error {
	j := n.job
	switch {
	case j == nil:
		return errors.New("it came without a unit")
	case n.orders.waiting():
		return errors.New("it came before the order")
	case j.ended:
		return errors.New("it came after the result of its unit")
	case len(r.Events) == 0 && r.Result == nil && r.Profile == nil && r.Warning == "":
		return errors.New("it says nothing that is known here")
	case len(r.Warning) > maxName || r.Warning != "" && n.warnings >= mostWarnings:
		return fmt.Errorf("it warns of its host for the %d. time, or at length", n.warnings+1)
	case len(r.Profile) > 0 && !c.cfg.Command.Cover:
		return errors.New("it has a cover profile that nobody asked for")
	}
	for i := range r.Events {
		if err := j.examineEvent(&r.Events[i]); err != nil {
			return err
		}
	}
	if err := c.hearProfile(n, r.Profile); err != nil {
		return err
	}
	if r.Result == nil {
		return nil
	}
	j.ended = true
	if err := j.examineResult(r.Result); err != nil {
		return err
	}
	return c.readProfile(n, r.Result)
}

// actions are those that the events of a process can have.
var actions = []string{
	test2json.ActionRun, test2json.ActionPause, test2json.ActionCont, test2json.ActionPass, test2json.ActionBench, test2json.ActionFail,
	test2json.ActionOutput, test2json.ActionSkip, test2json.ActionAttr, test2json.ActionArtifacts,
}

// examineEvent returns why an event cannot be of the job's process, or nil.
func (j *job) examineEvent(e *test2json.Event) error {
	name := topLevel(e.Test)
	if year := e.Time.Year(); year < 0 || year > 9999 {
		return fmt.Errorf("an event is of the year %d", year)
	}
	switch {
	case e.Package != j.pkg.path:
		return fmt.Errorf("an event is of package %.100q, which it was not given", e.Package)
	case !slices.Contains(actions, e.Action):
		return fmt.Errorf("an event is a %.100q, which no process has", e.Action)
	case max(len(e.Test), len(e.Key), len(e.Path), len(e.ImportPath), len(e.FailedBuild)) > maxName:
		return fmt.Errorf("a name has %d bytes, and may have %d", max(len(e.Test), len(e.Key), len(e.Path), len(e.ImportPath), len(e.FailedBuild)), maxName)
	case !isText(e):
		return errors.New("a text of an event is not UTF-8")
	case !hasZone(e.Time):
		return errors.New("the clock of an event is a day or more off")
	case e.Test != "" && name == "":
		return fmt.Errorf("there is no test %.100q", e.Test)
	case e.Test == "" && e.Terminal():
		return errors.New("it ends its package by an event, which is not its to end")
	case e.Elapsed != nil && !(*e.Elapsed >= 0 && *e.Elapsed <= maxElapsed.Seconds()):
		return fmt.Errorf("%.100q took %v seconds", e.Test, *e.Elapsed)
	case e.Test != name:
		j.open.note(e)
	case e.Action == test2json.ActionRun:
		j.begins(name)
	case e.Terminal() && !j.known[name]:
		if i, known := j.pkg.index[name]; known && j.has(i) {
			return fmt.Errorf("%s ended, and never began", name)
		}
	}
	return nil
}

// opened are the subtests that have begun and not ended: those that who shows them remembers.
type opened struct {
	tests map[uint64]bool // by a hash of their names
	size  int             // bytes of them
}

var openSeed = maphash.MakeSeed()

func (o *opened) note(e *test2json.Event) {
	key := maphash.String(openSeed, e.Test)
	switch {
	case e.Action == test2json.ActionRun && !o.tests[key]:
		if o.tests == nil {
			o.tests = make(map[uint64]bool)
		}
		o.tests[key] = true
		o.size += openWeight + len(e.Test)
	case e.Terminal() && o.tests[key]:
		delete(o.tests, key)
		o.size -= openWeight + len(e.Test)
	}
}

// isText reports whether the texts of an event are, as those of test2json.
func isText(e *test2json.Event) bool {
	for _, s := range []string{e.ImportPath, e.Test, e.Output, e.FailedBuild, e.Key, e.Value, e.Path} {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

// hasZone reports whether a time has a zone that it can be written with.
func hasZone(t time.Time) bool {
	_, offset := t.Zone()
	return -dayOf < offset && offset < dayOf
}

const dayOf = 24 * 60 * 60 // seconds

// begins notes that a test has begun.
func (j *job) begins(name string) {
	if j.known == nil {
		j.known = make(map[string]bool)
	}
	if _, ours := j.pkg.index[name]; !ours && !j.known[name] {
		j.strangers += nameWeight + len(name)
	}
	j.known[name] = true
}

// examineResult returns why a result cannot be that of the job's process, or nil.
func (j *job) examineResult(r *unit.Result) error {
	texts := max(len(r.Signal), len(r.Err), len(r.Culprit), len(r.Panic), len(r.Unfinished), len(r.Verdict), len(r.Coverage), len(r.Shuffle), len(r.Suffix))
	for _, name := range r.Changed {
		texts = max(texts, len(name))
	}
	for _, d := range []time.Duration{r.Wall, r.TestTimeout} {
		if d < 0 || d > maxElapsed {
			return fmt.Errorf("a time of its process is %v", d)
		}
	}
	for _, name := range []string{r.Culprit, r.Unfinished} {
		if name != "" && !j.known[name] {
			return fmt.Errorf("its process ended in %.100q, which never began", name)
		}
	}
	switch {
	case texts > maxText, len(r.Changed) > maxChanged:
		return fmt.Errorf("a text of its result has %d bytes, or it names %d files", texts, len(r.Changed))
	case int64(r.ExitCode) < minStatus || int64(r.ExitCode) > maxStatus:
		return fmt.Errorf("its process has exit status %d", r.ExitCode)
	case r.Verdict != "" && r.Verdict != "PASS" && r.Verdict != "FAIL":
		return fmt.Errorf("its process ended with %.100q", r.Verdict)
	case !r.Failed && (r.ExitCode != 0 || r.Signal != "" || r.Culprit != ""): // it may say FAIL: a TestMain can exit 0 all the same
		return fmt.Errorf("its process has not failed, with exit status %d and signal %.100q", r.ExitCode, r.Signal)
	case !r.Started && len(j.known) > 0:
		return errors.New("its process ran tests and was never started")
	case len(r.Profile) > 0:
		return errors.New("its result has a cover profile, which comes before it")
	}
	return nil
}

// loss is why a node ended, as far as anybody knows.
func (n *node) loss(err error) error {
	if n.refusal != nil {
		return n.refusal
	}
	return err
}

package integration

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

// chaosRound runs the module once and strikes as the plan says. What it checks:
//
//   - The run ends within chaosLimit, and what it has started within chaosEnd after it, though what
//     was stopped for ever does not go on before that. See heldUp for what cannot.
//   - A controller that lives, or was interrupted once, gives an account: each test that it has
//     collected has one verdict. It is the JUnit report, and the sums on standard error agree. The
//     stream of events may tell of a test twice when test processes are killed, as the whole of a
//     package may die after a part of it has passed.
//   - The exit status agrees with the account: 0 for passes of all tests alone, 130 for an
//     interrupt, 5 for a run that had to end before its tests, with its reason, 4 where none was
//     run, 3 where the go command was ended after its last binary; else what the packages make of
//     it. A host whose connections freeze takes others, so that no such run has to end.
//   - Nothing is left in directories for temporary files, here and on the host, and nothing but
//     trees and caches elsewhere. What those who were killed could not remove, the next run does,
//     which passes.
func chaosRound(w *chaosWorld, tests []string) {
	w.open()
	r := w.run(true)
	state := r.cmd.ProcessState
	w.status = strconv.Itoa(state.ExitCode())
	if state.ExitCode() < 0 {
		w.status = "killed"
	}
	if reason := fatalLine.FindString(r.errs.String()); state.ExitCode() == 5 {
		w.t.Logf("the run had to end: %s", reason)
	}
	switch {
	case r.hung:
	case w.killed(r):
	default:
		w.checkAccount(r, tests)
	}
	left := w.leftFiles()
	if w.killed(r) || len(left) > 0 && w.mayLeave() {
		next := w.run(false)
		if code := next.cmd.ProcessState.ExitCode(); code != 0 {
			w.t.Errorf("the next run ended with status %d\n%s", code, tail(next.errs.String()))
		}
		w.checkAccount(next, tests)
		left = w.leftFiles()
	}
	for _, name := range left {
		w.t.Errorf("file is left: %s", name)
	}
	if w.t.Failed() {
		w.t.Logf("%d strikes; status %s; xdist said: %s", w.strikes, w.status, tail(r.errs.String()))
	}
}

// fatalLine is why a run had to end.
var fatalLine = regexp.MustCompile(`(?m)^xdist: .*$`)

// killed reports whether the controller had no time for an account.
func (w *chaosWorld) killed(r *chaosRun) bool {
	if w.plan.victim != "controller" || w.strikes == 0 {
		return false
	}
	return r.cmd.ProcessState.ExitCode() < 0 || w.strikes > 1
}

// mayLeave reports whether somebody was ended, or kept from ending, who would have removed files on
// a host.
func (w *chaosWorld) mayLeave() bool {
	return w.plan.transport != "popen" && (w.plan.victim == "agent" || w.plan.victim == "session" || w.plan.victim == "connection")
}

// leftFiles are the files that runs should have removed: all but trees and caches.
func (w *chaosWorld) leftFiles() (left []string) {
	places := []struct {
		dir  string
		keep string // pattern of names
	}{{w.dir, ""}, {w.far, ""}, {w.mirror, "xdist-*"}, {w.cache + "/_runs", ""}, {w.cache + "/_tmp", ""}}
	if w.server != nil {
		places = append(places, struct{ dir, keep string }{w.server.Home, ".cache"}, struct{ dir, keep string }{w.server.Home + "/.cache", "xdist"})
	}
	for _, place := range places {
		entries, err := os.ReadDir(place.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.t.Error(err)
		}
		for _, e := range entries {
			if ok, err := filepath.Match(place.keep, e.Name()); !ok || err != nil {
				left = append(left, filepath.Join(place.dir, e.Name()))
			}
		}
	}
	return left
}

// account is what became of each test, by its id: pass, fail, skip, not run, or error with its
// reason; or more than one of these.
type account map[string][]string

// xmlReason is what a JUnit report says of a test that has not passed.
type xmlReason struct {
	Message string `xml:"message,attr"`
}

// readAccount reads a JUnit report. What it has of packages has no "::Test" that is one of theirs.
func readAccount(name string) (account, error) {
	var doc struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string     `xml:"name,attr"`
				Failure *struct{}  `xml:"failure"`
				Error   *xmlReason `xml:"error"`
				Skipped *xmlReason `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	text, err := os.ReadFile(name)
	if err == nil {
		err = xml.Unmarshal(text, &doc)
	}
	if err != nil {
		return nil, err
	}
	a := account{}
	for _, s := range doc.Suites {
		for _, c := range s.Cases {
			id, verdict := s.Name+"::"+c.Name, "pass"
			switch {
			case c.Failure != nil:
				verdict = "fail"
			case c.Error != nil:
				verdict = "error: " + c.Error.Message
			case c.Skipped != nil && strings.HasPrefix(c.Skipped.Message, "not run: "):
				verdict = "not run"
			case c.Skipped != nil:
				verdict = "skip"
			}
			a[id] = append(a[id], verdict)
		}
	}
	return a, nil
}

// accountLine is the end of what a run says of itself: "160 items: 158 pass, 2 crash".
var accountLine = regexp.MustCompile(`(?m)^(\d+) items?: (.*)$`)

// sums reads the account line: how many were collected, and the sum of the verdicts.
func (r *chaosRun) sums() (collected, verdicts, passed int) {
	m := accountLine.FindStringSubmatch(r.errs.String())
	if m == nil {
		return 0, 0, 0
	}
	collected, _ = strconv.Atoi(m[1])
	parts, _, _ := strings.Cut(m[2], ";")
	for _, part := range strings.Split(parts, ", ") {
		number, what, _ := strings.Cut(part, " ")
		n, _ := strconv.Atoi(number)
		verdicts += n
		if what == "pass" {
			passed = n
		}
	}
	return collected, verdicts, passed
}

// checkAccount wants one verdict for each test, and an exit status that agrees with them.
func (w *chaosWorld) checkAccount(r *chaosRun, tests []string) {
	t := w.t
	t.Helper()
	a, err := readAccount(r.junit)
	if code := r.cmd.ProcessState.ExitCode(); errors.Is(err, fs.ErrNotExist) && (code == 130 || code == 5 && w.plan.victim == "build") {
		err = nil // the run has not begun
	}
	if err != nil {
		t.Errorf("there is no account: %v", err)
		return
	}
	counts := map[string]int{}
	for _, id := range tests {
		for _, verdict := range a[id] {
			verdict, _, _ = strings.Cut(verdict, ":")
			counts[verdict]++
		}
		if len(a[id]) > 1 {
			t.Errorf("%s has verdicts %v", id, a[id])
		}
	}
	for id := range a {
		if _, name, _ := strings.Cut(id, "::"); !slices.Contains(tests, id) && name != "TestMain" && !strings.HasPrefix(name, "[") {
			t.Errorf("the account has %s", id)
		}
	}
	booked := 0
	for _, n := range counts {
		booked += n
	}
	collected, verdicts, passed := r.sums()
	if collected != booked || verdicts != booked || passed != counts["pass"] {
		t.Errorf("%d items collected, %d verdicts, %d passes; the report has %v", collected, verdicts, passed, counts)
	}
	w.checkStatus(r, booked, len(tests), counts)
}

// checkStatus wants an exit status that agrees with the verdicts.
func (w *chaosWorld) checkStatus(r *chaosRun, booked, want int, counts map[string]int) {
	t := w.t
	t.Helper()
	m, err := compare.Read(bytes.NewReader(r.seen.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	code := r.cmd.ProcessState.ExitCode()
	ended := code == 130 || code == 5 // before the packages did
	switch interrupted := w.plan.victim == "controller" && (w.plan.signal == unix.SIGTERM || w.plan.signal == unix.SIGINT); {
	case code == 0 && (booked != want || counts["pass"] != want):
		t.Errorf("status 0, and of %d tests the report has %v", want, counts)
	case code == 130 && interrupted && w.strikes > 0:
	case code == 5 && w.plan.victim != "connection" && strings.Contains(r.errs.String(), "xdist: ") && counts["not run"]+want-booked > 0:
	case code == 4 && counts["not run"] == booked:
	case code == 3 && w.plan.victim == "build" && strings.Contains(r.errs.String(), " did not build"): // go test itself was ended
	case code != statusOf(m) || booked != want:
		t.Errorf("status %d, want %d; of %d tests the report has %v", code, statusOf(m), want, counts)
	}
	if ended {
		return
	}
	for _, p := range m.Problems {
		t.Error(p)
	}
	w.checkStream(m)
}

// checkStream wants the stream of events to have one verdict for each test at most. Where test
// processes are killed it counts those that have more.
func (w *chaosWorld) checkStream(m *compare.Model) {
	for _, name := range slices.Sorted(maps.Keys(m.Packages)) {
		for test, v := range m.Packages[name].Tests {
			switch {
			case len(v.Outcomes) <= 1:
			case w.plan.victim == "test":
				w.twice++
			default:
				w.t.Errorf("%s::%s has %d verdicts in the stream: %v\n%s", name, test, len(v.Outcomes), v.Actions, v.Output)
			}
		}
	}
}

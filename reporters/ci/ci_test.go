package ci

import (
	"bytes"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

var update = flag.Bool("update", false, "write the golden files")

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// odd is text with all that any of the formats gives a meaning.
const odd = "100% 'odd' [x|y]; a,b: <c> \x1b[31m`d`\x1b[0m ü 🙂"

// recorded is a run with a failure in a subtest, an odd one, a flaky test, a skipped one, a package
// that does not build, one that fails by itself, and a test that differs by platform. Its sources
// are below root.
func recorded(t *testing.T, root string) []event.Event {
	t.Helper()
	dir := filepath.Join(root, "mod", "p")
	for _, d := range []string{dir, filepath.Join(root, ".git")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "p_test.go"), []byte(strings.Repeat("\tt.Error()\n", 9)), 0o600); err != nil {
		t.Fatal(err)
	}
	run := []event.Event{
		event.RunStarted{Time: start, RunID: "run1", Workdir: filepath.Join(root, "mod")},
		event.Collected{Dirs: map[string]string{"m/p": dir, "m/q": filepath.Join(root, "mod", "q"), "m/r": filepath.Join(root, "mod", "r")}},
	}
	tell := func(pkg, test, action, output string, attempt int, again bool) {
		elapsed := 0.25
		e := event.Test{Event: test2json.Event{Time: start, Action: action, Package: pkg, Test: test, Output: output}, Gateway: "gw1", Platform: "linux/amd64", Attempt: attempt, Again: again}
		if e.Terminal() {
			e.Elapsed = &elapsed
		}
		run = append(run, e)
	}
	tell("m/p", "", "start", "", 0, false)
	tell("m/q", "", "start", "", 0, false)
	tell("m/p", "TestX", "run", "", 1, false)
	tell("m/p", "TestX/sub", "run", "", 1, false)
	tell("m/p", "TestX/sub", "output", "=== RUN   TestX/sub\n", 1, false)
	tell("m/p", "TestX/sub", "output", "    p_test.go:3: "+odd+"\n", 1, false)
	tell("m/p", "TestX/sub", "fail", "", 1, false)
	tell("m/p", "TestX", "fail", "", 1, false)
	tell("m/p", "TestFlaky", "run", "", 1, false)
	tell("m/p", "TestFlaky", "output", "    p_test.go:4: not yet\n", 1, false)
	tell("m/p", "TestFlaky", "fail", "", 1, true)
	tell("m/q", "", "output", "no server\n", 0, false)
	tell("m/q", "", "fail", "", 0, false)
	tell("m/p", "TestFlaky", "run", "", 2, false)
	tell("m/p", "TestFlaky", "pass", "", 2, false)
	tell("m/p", "TestSkips", "run", "", 1, false)
	tell("m/p", "TestSkips", "output", "    p_test.go:5: no luck\n", 1, false)
	tell("m/p", "TestSkips", "skip", "", 1, false)
	tell("m/p", "", "fail", "", 0, false)
	run = append(run,
		event.Test{Event: test2json.Event{Action: "build-output", ImportPath: "m/r", Output: "# m/r\nr/r.go:7:1: undefined: x\n"}},
		event.Test{Event: test2json.Event{Action: "fail", Package: "m/r", FailedBuild: "m/r", Time: start}})
	item := func(pkg, test, platform string, v event.Verdict, failures int) event.ItemSeconds {
		return event.ItemSeconds{ID: pkg + "::" + test, Test: pkg + "::" + test, Platform: platform, Gateway: "gw1", Elapsed: 2 * time.Second, Verdict: v, Failures: failures}
	}
	return append(run, event.RunEnded{Time: start.Add(time.Minute), Elapsed: time.Minute, Summary: event.Summary{
		Collected: 6, Failed: 2, BuildFailed: 1, Counts: map[event.Verdict]int{event.Fail: 2, event.Flaky: 1, event.Skip: 1, event.NotRun: 1},
		NotRun: []event.NotRunItem{{ID: "m/r::TestR", Reason: "its package did not build"}},
		Durations: []event.ItemSeconds{
			item("m/p", "TestX", "linux/amd64", event.Fail, 0), item("m/p", "TestFlaky", "linux/amd64", event.Flaky, 1),
			item("m/p", "TestSkips", "linux/amd64", event.Skip, 0), item("m/p", "TestFlaky", "linux/arm64", event.Fail, 0),
		},
	}})
}

// told plays a run to the reporter of a service and returns the log and the summary.
func told(t *testing.T, s Service, root string, run []event.Event) (log, summary string) {
	t.Helper()
	var out bytes.Buffer
	env := map[string]string{"GITHUB_STEP_SUMMARY": filepath.Join(root, "summary.md"), "AGENT_TEMPDIRECTORY": root}
	r := New(Config{Service: s, Out: &out, Getenv: func(name string) string { return env[name] }})
	for _, e := range run {
		if err := r.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"summary.md", "xdist-run1.md"} {
		if text, err := os.ReadFile(filepath.Join(root, name)); err == nil {
			summary = string(text)
		}
	}
	return strings.ReplaceAll(out.String(), root, "ROOT"), summary
}

// The reports of all services as they are in testdata, which -update writes.
func TestGolden(t *testing.T) {
	for _, s := range []Service{GitHub, GitLab, Buildkite, TeamCity, Azure, Jenkins} {
		root := t.TempDir()
		t.Setenv("PATH", root) // without an agent of Buildkite
		log, summary := told(t, s, root, recorded(t, root))
		got := log
		if summary != "" {
			got += "\n== summary ==\n" + summary
		}
		file := filepath.Join("testdata", string(s)+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s, diff)
		}
	}
}

// A runner of GitHub reads lines of ::command name=value,…::message, and takes %25, %0D, %0A and in
// properties %3A and %2C for what they stand for.
func TestGitHubReads(t *testing.T) {
	root := t.TempDir()
	log, _ := told(t, GitHub, root, recorded(t, root))
	command := regexp.MustCompile(`^::(error|warning) ([^:]*)::(.*)$`)
	var read []note
	for line := range strings.Lines(log) {
		m := command.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("no command: %q", line)
		}
		data := strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n")
		property := strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",")
		n := note{warning: m[1] == "warning", message: data.Replace(m[3])}
		for p := range strings.SplitSeq(m[2], ",") {
			name, value, _ := strings.Cut(p, "=")
			switch name {
			case "file":
				n.file = property.Replace(value)
			case "line":
				n.line, _ = strconv.Atoi(value)
			case "title":
				n.title = property.Replace(value)
			default:
				t.Errorf("property %q", p)
			}
		}
		read = append(read, n)
	}
	want := []note{
		{false, "mod/p/p_test.go", 3, "m/p::TestX/sub", "100% 'odd' [x|y]; a,b: <c> `d` ü 🙂"},
		{false, "", 0, "m/q", "no server"},
		{false, "", 0, "m/r", "build failed: undefined: x"},
		{true, "", 0, "m/p::TestFlaky", "flaky: failed in 1 of 2 attempts"},
	}
	if diff := cmp.Diff(want, read, cmp.AllowUnexported(note{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// teamCityLine reads a service message: a name and attributes in single quotes, with a bar before
// what has a meaning.
func teamCityLine(line string) (name string, attributes map[string]string, err error) {
	rest, ok := strings.CutPrefix(line, "##teamcity[")
	if !ok || !strings.HasSuffix(rest, "]\n") {
		return "", nil, fmt.Errorf("no message: %q", line)
	}
	rest = strings.TrimSuffix(rest, "]\n")
	name, rest, _ = strings.Cut(rest, " ")
	attributes = map[string]string{}
	for rest != "" {
		key, after, ok := strings.Cut(rest, "='")
		if !ok {
			return "", nil, fmt.Errorf("no attribute: %q", rest)
		}
		var value strings.Builder
		for {
			if after == "" {
				return "", nil, fmt.Errorf("a value is not closed: %q", line)
			}
			c := after[0]
			if c == '\'' {
				after = after[1:]
				break
			}
			if c >= 0x80 || strings.IndexByte("[]\n\r", c) >= 0 {
				return "", nil, fmt.Errorf("%q stands for itself: %q", c, line)
			}
			if c != '|' {
				value.WriteByte(c)
				after = after[1:]
				continue
			}
			switch e := after[1]; e {
			case 'n':
				value.WriteByte('\n')
			case 'r':
				value.WriteByte('\r')
			case '0':
				value.WriteByte('?')
				after = after[5:]
			default:
				value.WriteByte(e)
			}
			after = after[2:]
		}
		attributes[key] = value.String()
		rest = strings.TrimPrefix(after, " ")
	}
	return name, attributes, nil
}

// TeamCity gets each test once, in the flow of its package, within its suite.
func TestTeamCityReads(t *testing.T) {
	root := t.TempDir()
	log, _ := told(t, TeamCity, root, recorded(t, root))
	suites := map[string]bool{}
	tests := map[string]string{}
	problems := 0
	for line := range strings.Lines(log) {
		name, at, err := teamCityLine(line)
		if err != nil {
			t.Fatal(err)
		}
		flow, test := at["flowId"], at["flowId"]+"::"+at["name"]
		switch name {
		case "testSuiteStarted":
			suites[at["name"]] = true
		case "testSuiteFinished":
			delete(suites, at["name"])
		case "testStarted":
			if tests[test] != "" || !suites[flow] {
				t.Errorf("%s begins twice or in no suite", test)
			}
			tests[test] = "pass"
		case "testFailed", "testIgnored":
			tests[test] = name + " " + at["message"]
		case "testFinished":
			if at["duration"] != "250" {
				t.Errorf("%s took %s", test, at["duration"])
			}
		case "buildProblem":
			problems++
		default:
			t.Errorf("message %s", name)
		}
	}
	want := map[string]string{
		"m/p::TestX": "testFailed ", "m/p::TestX/sub": "testFailed 100% 'odd' [x|y]; a,b: <c> `d` ? ??",
		"m/p::TestFlaky": "pass", "m/p::TestSkips": "testIgnored no luck",
	}
	if diff := cmp.Diff(want, tests); diff != "" || len(suites) != 0 || problems != 2 {
		t.Errorf("%d suites are open, %d problems; tests (-want +got):\n%s", len(suites), problems, diff)
	}
}

// Azure reads ##vso[task.logissue name=value;…]message.
func TestAzureReads(t *testing.T) {
	root := t.TempDir()
	log, summary := told(t, Azure, root, recorded(t, root))
	issue := regexp.MustCompile(`^##vso\[task\.(logissue type=(error|warning);(sourcepath=[^;\]]+;linenumber=\d+;)?|uploadsummary)\][^\r\n]+\n$`)
	for line := range strings.Lines(log) {
		if !issue.MatchString(line) {
			t.Errorf("no command: %q", line)
		}
	}
	if !strings.Contains(log, "sourcepath=mod/p/p_test.go;linenumber=3;]m/p::TestX/sub: 100%AZP25") || !strings.Contains(summary, "m/p::TestX/sub") {
		t.Errorf("log %s\nsummary %s", log, summary)
	}
}

// GitLab's sections begin and end with the same name, and nest nothing.
func TestGitLabFolds(t *testing.T) {
	text := GitLab.Fold("FAIL  a/b.TestX/ü (0s)", "line\n", start)
	section := regexp.MustCompile(`^\x1b\[0Ksection_start:(\d+):([A-Za-z0-9_.-]+)\r\x1b\[0K(.*)\nline\n\x1b\[0Ksection_end:(\d+):([A-Za-z0-9_.-]+)\r\x1b\[0K\n$`)
	if m := section.FindStringSubmatch(text); m == nil || m[2] != m[5] || m[3] != "FAIL  a/b.TestX/ü (0s)" {
		t.Errorf("got %q", text)
	}
}

// The annotation of Buildkite is what its agent gets on standard input.
func TestBuildkiteAnnotates(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("the agent that is played is a shell script")
	}
	root := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" > " + root + "/args\n/bin/cat > " + root + "/summary.md\n"
	if err := os.WriteFile(filepath.Join(root, "buildkite-agent"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", root)
	_, summary := told(t, Buildkite, root, recorded(t, root))
	args, err := os.ReadFile(filepath.Join(root, "args"))
	if err != nil || string(args) != "annotate --style error --context xdist\n" || !strings.Contains(summary, "m/p::TestX/sub") {
		t.Errorf("%v, arguments %q, text %s", err, args, summary)
	}
}

// A summary is never longer than GitHub takes, and is HTML whose elements are closed.
func TestSummaryIsBounded(t *testing.T) {
	root := t.TempDir()
	run := recorded(t, root)
	end := run[len(run)-1].(event.RunEnded)
	run = run[:len(run)-1]
	for i := range 3000 {
		for _, action := range []string{"run", "output", "fail"} {
			e := test2json.Event{Action: action, Package: "m/p", Test: fmt.Sprintf("TestMany%d", i)}
			if action == "output" {
				e.Output = strings.Repeat("<&| long\n", 1000)
			}
			run = append(run, event.Test{Event: e})
		}
		end.Summary.Durations = append(end.Summary.Durations, event.ItemSeconds{ID: strings.Repeat("x", 4000), Verdict: event.Flaky})
	}
	_, summary := told(t, GitHub, root, append(run, end))
	if len(summary) > 1<<20 || len(summary) < 1<<19 {
		t.Errorf("the summary has %d bytes", len(summary))
	}
	if !strings.Contains(summary, "… and ") {
		t.Error("it does not say that there is more")
	}
	in := xml.NewDecoder(strings.NewReader("<all>" + summary + "</all>"))
	for {
		if _, err := in.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDetect(t *testing.T) {
	for name, want := range map[string]Service{"GITHUB_ACTIONS": GitHub, "GITLAB_CI": GitLab, "BUILDKITE": Buildkite, "TEAMCITY_VERSION": TeamCity, "TF_BUILD": Azure, "JENKINS_URL": Jenkins, "CI": None} {
		getenv := func(asked string) string {
			if asked == name {
				return "true"
			}
			return ""
		}
		if got, err := Parse("auto", getenv); got != want || err != nil {
			t.Errorf("%s is %s, %v", name, got, err)
		}
		if got, err := Parse("none", getenv); got != None || err != nil {
			t.Errorf("none is %s, %v", got, err)
		}
	}
	if _, err := Parse("githob", os.Getenv); err == nil || !strings.Contains(err.Error(), "github, gitlab") {
		t.Errorf("the error is %v", err)
	}
}

// What a test prints is no command of the service, wherever it stands.
func TestText(t *testing.T) {
	for _, tt := range []struct {
		service      Service
		output, want string
	}{
		{GitHub, "a\n::error::x\n  \t::set-output name=a::b\nx ::error::y\nstd::vector\n##[error]z", "a\n\u200b::error::x\n  \t\u200b::set-output name=a::b\nx ::error::y\nstd::vector\n##\u200b[error]z"},
		{Azure, "x ##vso[task.complete result=Failed]\n##[group]g\n", "x ##\u200bvso[task.complete result=Failed]\n##\u200b[group]g\n"},
		{TeamCity, "##teamcity[buildStop comment='x']\n", "##\u200bteamcity[buildStop comment='x']\n"},
		{Buildkite, "--- a\n+++ b\n~~~ c\n^^^ +++\n -x\n---\n--- FAIL: TestX (0.00s)\n", " --- a\n +++ b\n ~~~ c\n ^^^ +++\n -x\n---\n --- FAIL: TestX (0.00s)\n"},
		{GitLab, "\x1b[0Ksection_start:1:x\r\x1b[0K\nsection_end:1:x", "\x1b[0Ksection_\u200bstart:1:x\r\x1b[0K\nsection_\u200bend:1:x"},
		{Jenkins, "::error::\n##vso[x]\n--- a\n", "::error::\n##vso[x]\n--- a\n"},
	} {
		if got := tt.service.Text(tt.output); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.service, got, tt.want)
		}
		folded := tt.service.Fold("title", tt.output, start)
		switch {
		case tt.service != GitHub && !strings.Contains(folded, tt.want):
			t.Errorf("%s folds %q", tt.service, folded)
		case tt.service == GitHub:
			m := regexp.MustCompile(`(?s)^::group::title\n::stop-commands::([A-Z0-9]{20,})\n(.*)::([A-Z0-9]*)::\n::endgroup::\n$`).FindStringSubmatch(folded)
			if m == nil || m[1] != m[3] || m[2] != tt.output+"\n" {
				t.Errorf("%s folds %q", tt.service, folded)
			}
		}
	}
	if got := GitHub.Fold("title", "a::b\n", start); got != "::group::title\na::b\n::endgroup::\n" {
		t.Errorf("text without commands: %q", got)
	}
}

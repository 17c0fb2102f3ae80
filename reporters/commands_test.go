package reporters

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/ci"
	"github.com/xdist-go/xdist/scheduler/event"
)

// obeys are the lines of a log that a service takes for commands, as its documentation has it.
func obeys(service ci.Service, log string) (commands []string) {
	token := ""
	for whole := range strings.Lines(log) {
		line := strings.TrimSpace(whole)
		found := false
		switch service {
		case ci.GitHub:
			if stop, ok := strings.CutPrefix(line, "::stop-commands::"); ok && token == "" {
				token = "::" + stop + "::"
				continue
			}
			if line == token {
				token = ""
			}
			found = token == "" && (strings.HasPrefix(line, "::") || strings.Contains(line, "##["))
		case ci.Azure:
			found = strings.Contains(line, "##vso[") || strings.Contains(line, "##[")
		case ci.TeamCity:
			found = strings.Contains(line, "##teamcity[")
		case ci.GitLab:
			found = strings.Contains(line, "section_start:") || strings.Contains(line, "section_end:")
		case ci.Buildkite:
			found = strings.HasPrefix(whole, "--- ") || strings.HasPrefix(whole, "+++ ")
		}
		if found {
			commands = append(commands, line)
		}
	}
	return commands
}

// What a test prints reaches the log of a service as text, in every format: of one that fails, of
// one that is flaky, and of one that still runs.
func TestConsoleObeysNoTest(t *testing.T) {
	const printed = "::error::evil\n  ::set-output name=evil::x\n##[evil]\n##vso[evil]x\n##teamcity[evil]\nsection_start:1:evil\nsection_end:1:evil\n--- evil\n+++ evil\n"
	var run []event.Event
	tell := func(test string, attempt int, again bool, actions ...string) {
		for _, action := range actions {
			if action != "output" {
				run = append(run, event.Test{Event: test2json.Event{Action: action, Package: "m/p", Test: test}, Gateway: "gw0", Attempt: attempt, Again: again && action == "fail", Total: 2})
				continue
			}
			for line := range strings.Lines(printed) {
				run = append(run, event.Test{Event: test2json.Event{Action: action, Package: "m/p", Test: test, Output: line}, Gateway: "gw0", Attempt: attempt, Total: 2})
			}
		}
	}
	run = append(run, event.RunStarted{}, event.Collected{Items: 2})
	tell("", 0, false, "start")
	tell("TestBad", 1, false, "run", "output", "fail")
	tell("TestFlaky", 1, true, "run", "output", "fail")
	tell("TestFlaky", 2, false, "run", "output", "pass")
	run = append(run, event.Running{Gateways: []event.GatewayRuns{{Gateway: "gw0", Package: "m/p", Tests: []event.TestRuns{{Test: "TestX", Output: printed}}}}})
	tell("", 0, false, "output", "fail")
	run = append(run, event.RunEnded{Summary: event.Summary{Collected: 2, Failed: 1, Counts: map[event.Verdict]int{event.Fail: 1, event.Flaky: 1}, Durations: []event.ItemSeconds{
		{ID: "m/p::TestBad", Test: "m/p::TestBad", Verdict: event.Fail}, {ID: "m/p::TestFlaky", Test: "m/p::TestFlaky", Verdict: event.Flaky, Failures: 1},
	}}})
	for _, service := range []ci.Service{ci.GitHub, ci.Azure, ci.TeamCity, ci.GitLab, ci.Buildkite} {
		for _, format := range Formats() {
			t.Run(fmt.Sprintf("%s/%s", service, format), func(t *testing.T) {
				fold := func(title, text string) string { return service.Fold(title, text, time.Time{}) }
				stdout, stderr := consoleText(t, ConsoleConfig{Format: format, Text: service.Text, Fold: fold}, run)
				for _, command := range obeys(service, stdout+stderr) {
					if strings.Contains(command, "evil") {
						t.Errorf("%s obeys %s", service, command)
					}
				}
				if format != FormatNone && !strings.Contains(stdout, "evil") && format != FormatDots && format != FormatDotsV2 {
					t.Errorf("nothing is shown of what was printed: %s", stdout)
				}
			})
		}
	}
}

package ui

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/html"
	"github.com/xdist-go/xdist/scheduler/event"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// aRun has 60 tests on three gateways, 20 ms each. One fails.
func aRun(t *testing.T) []event.Event {
	run := []event.Event{event.RunStarted{Time: start, Workdir: t.TempDir()}}
	for _, g := range []string{"gw0", "gw1", "gw2"} {
		run = append(run, event.GatewayOpening{Time: start, Gateway: g}, event.GatewayUp{Time: start, Gateway: g, Hostname: "here"})
	}
	s := event.Summary{Collected: 60, Counts: map[event.Verdict]int{event.Pass: 59, event.Fail: 1}, Failed: 1}
	for i := range 60 {
		name, gateway, action := fmt.Sprintf("TestNumber%d", i), fmt.Sprintf("gw%d", i%3), "pass"
		if i == 1 {
			action = "fail"
		}
		at := start.Add(time.Duration(i/3) * 20 * time.Millisecond)
		tell := func(action, output string) event.Event {
			return event.Test{Event: test2json.Event{Time: at, Action: action, Package: "m/p", Test: name, Output: output}, Gateway: gateway, Attempt: 1, Platform: "linux/amd64", Done: i, Total: 60}
		}
		run = append(run, event.Progress{Time: at, Gateway: gateway, Action: "run", Package: "m/p", Test: name},
			event.Progress{Time: at.Add(20 * time.Millisecond), Gateway: gateway, Action: action, Package: "m/p", Test: name}, tell("run", ""))
		if action == "fail" {
			run = append(run, tell("output", "    p_test.go:4: <script>alert(1)</script>\n"))
		}
		run = append(run, tell(action, ""))
		s.Durations = append(s.Durations, event.ItemSeconds{ID: "m/p::" + name, Test: "m/p::" + name, Gateway: gateway, Elapsed: 20 * time.Millisecond, Verdict: event.Verdict(action)})
	}
	return append(run, event.RunEnded{Time: start.Add(time.Minute), Elapsed: time.Second, Summary: s})
}

// live shows a run, which is left where the test goes on.
func live(t *testing.T) *Server {
	t.Helper()
	l, err := newServer(func() time.Time { return start.Add(5 * time.Second) }, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.End(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *Server) handleAll(t *testing.T, run []event.Event) {
	t.Helper()
	for _, e := range run {
		if err := l.Handle(e); err != nil {
			t.Fatal(err)
		}
	}
}

func ask(t *testing.T, address string) (*http.Response, func() string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp, func() string {
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// Who does not know the secret gets nothing, and the page is on the loopback alone.
func TestLiveSecret(t *testing.T) {
	l := live(t)
	l.handleAll(t, aRun(t))
	if !strings.HasPrefix(l.Address(), "http://127.0.0.1:") {
		t.Errorf("the page is at %s", l.Address())
	}
	for _, way := range []string{"/", "/?token=", "/?token=x", "/news", "/news?token=" + l.secret[1:], "/other?token="} {
		resp, text := ask(t, "http://"+l.server.Addr+way)
		if resp.StatusCode != http.StatusForbidden || strings.Contains(text(), "TestNumber") {
			t.Errorf("%s: %s", way, resp.Status)
		}
	}
	if resp, _ := ask(t, l.Address()); resp.StatusCode != http.StatusOK {
		t.Errorf("who knows it: %s", resp.Status)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// A page is told what has come of the run so far, then what is new, and at the end to ask for the
// report. The run waits until it has that.
func TestLiveNews(t *testing.T) {
	l := live(t)
	run := aRun(t)
	half := len(run) / 2
	l.handleAll(t, run[:half])
	l.handleAll(t, []event.Event{
		event.Progress{Time: start.Add(time.Second), Gateway: "gw2", Action: test2json.ActionRun, Package: "m/p", Test: "TestStays"},
		event.Progress{Time: start.Add(time.Second), Gateway: "gw2", Action: test2json.ActionRun, Package: "m/p", Test: "TestStays/sub"},
	})
	_, page := ask(t, l.Address())
	if text := page(); !strings.Contains(text, "running: ") || strings.Contains(text, "TestNumber0") || !strings.Contains(text, "connect-src 'self'") {
		t.Error("the page is not one of a run that goes on")
	}
	resp, _ := ask(t, "http://"+l.server.Addr+"/news?token="+l.secret)
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	var tests, bars, failures int
	next := func() (n html.News) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &n); err != nil {
					t.Fatal(err)
				}
				tests, bars, failures = tests+len(n.Tests), bars+len(n.Bars), failures+strings.Count(n.Failures, `class="failure"`)
				return n
			}
		}
		t.Fatalf("the stream has ended: %v", lines.Err())
		return n
	}
	first := next()
	if tests == 0 || tests == 60 || len(first.Gateways) != 3 || !slices.ContainsFunc(first.Running, func(r []any) bool { return r[0] == "gw2" && r[1] == "m/p::TestStays" }) || strings.Contains(first.Failures, "<script>") {
		t.Errorf("%d tests, and %+v", tests, first)
	}
	l.handleAll(t, run[half:])
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	for n := next(); !n.Ended; n = next() {
	}
	if tests != 60 || bars != 60 || failures != 1 {
		t.Errorf("%d tests, %d bars and %d failures, want 60, 60 and 1", tests, bars, failures)
	}
	select {
	case err := <-closed:
		t.Errorf("the run did not wait for the page: %v", err)
	default:
	}
	_, report := ask(t, l.Address())
	if text := report(); !strings.Contains(text, "failed: 1 of 60 tests") || !strings.Contains(text, "TestNumber59") || strings.Contains(text, "connect-src") {
		t.Error("what is there at the end is not the report")
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if resp, _ := ask(t, "http://"+l.server.Addr+"/news?token="+l.secret); resp.StatusCode != http.StatusGone {
		t.Errorf("news of a run that is over: %s", resp.Status)
	}
}

// A page that was cut off goes on where it was, and one that asks for nonsense begins anew.
func TestLiveResumes(t *testing.T) {
	l := live(t)
	run := aRun(t)
	l.handleAll(t, run[:len(run)-1])
	for id, want := range map[string][2]int{ // tests and steps
		"": {60, 3}, "40-0-0-0": {20, 3}, "60-60-2-1": {0, 1}, "999-1-9-1": {0, 0}, "-5-0-0-0": {60, 3}, "40-0-0": {60, 3}, "x": {60, 3},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.server.Addr+"/news?token="+l.secret, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Last-Event-ID", id)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		var n html.News
		for n.Headline == "" {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				if err := json.Unmarshal([]byte(data), &n); err != nil {
					t.Fatal(err)
				}
			}
		}
		resp.Body.Close()
		if len(n.Tests) != want[0] || len(n.Steps) != want[1] {
			t.Errorf("after %q: %d tests and %d steps, want %v", id, len(n.Tests), len(n.Steps), want)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

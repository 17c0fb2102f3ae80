package reporters

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/event"
)

func TestClosingNamesPlatforms(t *testing.T) {
	const amd, arm, win = "linux/amd64", "linux/arm64", "windows/amd64"
	item := func(test, platform, gateway string, v event.Verdict) event.ItemSeconds {
		return event.ItemSeconds{ID: "p [" + platform + "]::" + test, Test: "p::" + test, Platform: platform, Gateway: gateway, Verdict: v}
	}
	text := closing(event.Summary{Durations: []event.ItemSeconds{
		item("TestWin", amd, "gw0", event.Pass), item("TestWin", arm, "gw1", event.Pass), item("TestWin", win, "gw2", event.Fail),
		item("TestTwo", amd, "gw0", event.Pass), item("TestTwo", arm, "gw1", event.Crash), item("TestTwo", win, "gw2", event.Fail),
		item("TestAll", amd, "gw0", event.Fail), item("TestAll", arm, "gw1", event.Fail), item("TestAll", win, "gw2", event.Fail),
		item("TestSkip", amd, "gw0", event.Skip), item("TestSkip", arm, "gw1", event.Fail),
		item("TestGood", amd, "gw0", event.Pass), item("TestGood", arm, "gw1", event.Skip),
		item("TestFlaky", amd, "gw0", event.Pass), item("TestFlaky", amd, "gw3", event.Fail), // --dist each
		item("TestAnd", win, "gw2", event.Fail), item("TestAnd", amd, "gw0", event.Pass), item("TestAnd", win, "gw4", event.Pass),
	}})
	want := `
=== Platforms
            linux/amd64  linux/arm64  windows/amd64
p::TestTwo  pass         crash        fail
p::TestAnd  pass         -            fail
p::TestWin  pass         pass         fail
1 more test skipped on some only
`
	if !strings.Contains(text, want) {
		t.Errorf("got %s\nwant %s", text, want)
	}
	if text := closing(event.Summary{Durations: []event.ItemSeconds{{Test: "p::TestX", Verdict: event.Fail}}}); strings.Contains(text, "Platforms") {
		t.Errorf("with one platform: %s", text)
	}
}

// Where all gateways are of one platform, and each runs all tests, they are what is compared.
func TestClosingNamesGateways(t *testing.T) {
	item := func(test, gateway string, v event.Verdict) event.ItemSeconds {
		return event.ItemSeconds{ID: "p [" + gateway + "]::" + test, Test: "p::" + test, Platform: "linux/amd64", Gateway: gateway, Verdict: v}
	}
	text := closing(event.Summary{Durations: []event.ItemSeconds{
		item("TestOne", "gw2", event.Pass), item("TestOne", "gw10", event.Fail),
		item("TestAll", "gw2", event.Pass), item("TestAll", "gw10", event.Pass),
	}})
	want := `
=== Gateways
            gw2    gw10
p::TestOne  pass   fail
`
	if !strings.Contains(text, want) {
		t.Errorf("got %s\nwant %s", text, want)
	}
}

// Two platforms, one of which crashes a test, under each: the report has a suite for each, which
// says where it ran.
func TestJUnitNamesPlatforms(t *testing.T) {
	file := filepath.Join(t.TempDir(), "junit.xml")
	j, err := NewJUnit(JUnitConfig{File: file})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run := []event.Event{
		event.RunStarted{Time: start, Hostname: "controller.example"},
		event.GatewayUp{Gateway: "gw0", Hostname: "a.example", Platform: "linux/amd64"},
		event.GatewayUp{Gateway: "gw1", Hostname: "b.example", Platform: "linux/s390x"},
	}
	summary := event.Summary{Collected: 2}
	for _, p := range []struct {
		gateway, platform, action string
		verdict                   event.Verdict
	}{{"gw0", "linux/amd64", "pass", event.Pass}, {"gw1", "linux/s390x", "fail", event.Crash}} {
		zero := 0.0
		name := "p [" + p.gateway + " " + p.platform + "]"
		for _, e := range []test2json.Event{
			{Action: "start"}, {Action: "run", Test: "TestX"}, {Action: p.action, Test: "TestX", Elapsed: &zero}, {Action: p.action, Elapsed: &zero},
		} {
			e.Package, e.Time = name, start
			run = append(run, event.Test{Event: e, Gateway: p.gateway, Platform: p.platform, Attempt: 1})
		}
		summary.Durations = append(summary.Durations, event.ItemSeconds{ID: name + "::TestX", Test: "p::TestX", Platform: p.platform, Gateway: p.gateway, Verdict: p.verdict})
	}
	play(t, j, append(run, event.RunEnded{Time: start, Summary: summary}))
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<testsuite name="p [gw0 linux/amd64]"`, `<testsuite name="p [gw1 linux/s390x]"`,
		"hostname=\"b.example\">\n\t\t<properties>\n\t\t\t<property name=\"platform\" value=\"linux/s390x\"></property>",
		`<error message="crashed while running on gw1" type="error">`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is not in\n%s", want, data)
		}
	}
}

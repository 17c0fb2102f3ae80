package ui

import (
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/internal/chromium"
	"github.com/xdist-go/xdist/scheduler/event"
)

// A browser shows a run that goes on, with what it runs, and then its report.
func TestLiveInChromium(t *testing.T) {
	l := live(t)
	run := aRun(t)
	l.handleAll(t, run[:len(run)-1])
	l.handleAll(t, []event.Event{event.Progress{Time: start.Add(time.Second), Gateway: "gw2", Action: test2json.ActionRun, Package: "m/p", Test: "TestStays"}})
	p := chromium.Open(t, l.Address(), 1400)
	p.Await(`document.querySelectorAll("[data-bar]").length >= 61`)
	if bars, listed := p.Count("[data-bar]"), p.Count("[data-test]"); bars != 61 || listed != 61 {
		t.Errorf("%d bars and %d tests in the list, want 61 of both", bars, listed)
	}
	if p.Shown(".failure") != 1 || p.Count(".b4") != 1 {
		t.Errorf("%d failures and %d running tests are shown, want 1 of both", p.Shown(".failure"), p.Count(".b4"))
	}
	l.handleAll(t, run[len(run)-1:])
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	p.Await(`document.querySelector(".headline")?.textContent.includes("failed: 1 of 60 tests") && document.querySelectorAll("[data-test]").length === 60`)
}

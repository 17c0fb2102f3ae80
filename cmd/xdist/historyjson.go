package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/history"
)

// What xdist history --json and xdist history runs --json print, as docs/history.md has it.
// Durations are in seconds.
type (
	testLine struct {
		ID       string  `json:"id"`
		Platform string  `json:"platform"`
		Seconds  float64 `json:"seconds"`
		Spread   float64 `json:"spread"`
		Before   float64 `json:"before,omitempty"`
		Latest   float64 `json:"latest,omitempty"`
		Runs     int     `json:"runs"`
		Failures int     `json:"failures"`
		Recent   int     `json:"recent"`
		Flaky    bool    `json:"flaky"`
	}
	runLine struct {
		ID        string    `json:"id"`
		Began     time.Time `json:"began"`
		Seconds   float64   `json:"seconds"`
		Bound     float64   `json:"bound,omitempty"`
		Command   []string  `json:"command"`
		Dist      string    `json:"dist"`
		Stopped   string    `json:"stopped,omitempty"`
		Gateways  []string  `json:"gateways"`
		Tests     int       `json:"tests"`
		Failed    int       `json:"failed"`
		Predicted int       `json:"predicted"`
		Expected  float64   `json:"expected"`
		Actual    float64   `json:"actual"`
		Total     float64   `json:"total"`
		Foreseen  float64   `json:"foreseen,omitempty"`
		OffBy     float64   `json:"offBy,omitempty"`
	}
)

func newTestLine(s history.TestSummary) testLine {
	return testLine{
		ID: gotest.ID(s.Package, s.Test), Platform: s.Platform, Seconds: s.Cost.Seconds(), Spread: s.Spread.Seconds(),
		Before: s.Before.Seconds(), Latest: s.Latest.Seconds(), Runs: s.Runs, Failures: s.Failures, Recent: s.Recent, Flaky: s.Flaky,
	}
}

func newRunLine(r history.RunSummary) runLine {
	return runLine{
		ID: r.ID, Began: r.Time, Seconds: r.Elapsed.Seconds(), Bound: r.Bound.Seconds(), Command: append([]string{}, r.Command...), Dist: r.Dist,
		Stopped: r.Stopped, Gateways: append([]string{}, r.Ran...), Tests: r.Tests, Failed: r.Failed, Predicted: r.Predicted,
		Expected: r.Expected.Seconds(), Actual: r.Actual.Seconds(), Total: r.Total.Seconds(), Foreseen: r.Foreseen, OffBy: r.MedianMiss,
	}
}

// linesOf makes lines of as many as -n lets through.
func linesOf[T, Line any](c *cli.Context, all []T, line func(T) Line) []Line {
	lines := []Line{}
	for _, one := range all[:atMostShown(c, len(all))] {
		lines = append(lines, line(one))
	}
	return lines
}

func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

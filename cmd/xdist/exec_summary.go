package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/xdist-go/xdist/gateway"
)

// ending is how the execution on one gateway has ended.
type ending struct {
	gateway string
	status  status
	err     error
}

// execSummary is the last line of --json. Names are in the order of the gateways, and no list is
// null.
type execSummary struct {
	Summary struct {
		OK          []string `json:"ok"`
		Failed      []string `json:"failed"`      // a command, a source or a pull
		Unreachable []string `json:"unreachable"` // could not be opened, or was lost
	} `json:"summary"`
	Status int `json:"status"` // xdist's
}

// maxNamed is how many gateways the closing line names of those that failed, and of those that
// could not be reached: what fits a few lines of a terminal. --json names all.
const maxNamed = 20

// summarize sums up endings, as text and for --json.
func summarize(all []ending, exit status) (string, execSummary) {
	s := execSummary{Status: int(exit)}
	ok, failed, unreachable := []string{}, []string{}, []string{}
	var failures, losses []string // as failed and unreachable, with the reasons
	for _, e := range all {
		switch e.status {
		case statusPassed:
			ok = append(ok, e.gateway)
		case statusFailed:
			failed, failures = append(failed, e.gateway), append(failures, e.String())
		default:
			unreachable, losses = append(unreachable, e.gateway), append(losses, e.String())
		}
	}
	s.Summary.OK, s.Summary.Failed, s.Summary.Unreachable = ok, failed, unreachable
	return fmt.Sprintf("%d ok", len(ok)) + named("failed", failures) + named("unreachable", losses), s
}

// named is a part of the closing line, or nothing when nobody is to be named.
func named(what string, gateways []string) string {
	if len(gateways) == 0 {
		return ""
	}
	rest := ""
	if more := len(gateways) - maxNamed; more > 0 {
		rest = fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf(", %d %s: %s%s", len(gateways), what, strings.Join(gateways[:min(len(gateways), maxNamed)], ", "), rest)
}

// String names the gateway and, where a word or two tell, the reason.
func (e ending) String() string {
	failed, ok := errors.AsType[*gateway.CommandError](e.err)
	switch {
	case ok && failed.Code >= 0:
		return fmt.Sprintf("%s (exit %d)", e.gateway, failed.Code)
	case ok:
		return fmt.Sprintf("%s (%s)", e.gateway, failed.Status)
	case errors.Is(e.err, context.Canceled):
		return e.gateway + " (interrupted)"
	}
	return e.gateway
}

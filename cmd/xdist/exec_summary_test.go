package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// The closing line names who has not ended well, and --json all.
func TestExecSummary(t *testing.T) {
	a, b := ending{"a", statusPassed, nil}, ending{"b", statusFailed, &gateway.CommandError{Status: "exit status 1", Code: 1}}
	killed := ending{"c", statusFailed, fmt.Errorf("and more: %w", &gateway.CommandError{Status: "signal: killed", Code: -1})}
	broken := ending{"d", statusFailed, errors.New("Traceback")}
	lost := ending{"e", statusInternal, errors.New("host not found")}
	stopped := ending{"f", statusFailed, context.Canceled}
	var many []ending
	for i := range 22 {
		many = append(many, ending{fmt.Sprint(i), statusInternal, errors.New("no route")})
	}
	for _, c := range []struct {
		all        []ending
		status     status
		text, json string
	}{
		{[]ending{a}, statusPassed, "1 ok", `{"summary":{"ok":["a"],"failed":[],"unreachable":[]},"status":0}`},
		{[]ending{a, a, b}, statusFailed, "2 ok, 1 failed: b (exit 1)", `{"summary":{"ok":["a","a"],"failed":["b"],"unreachable":[]},"status":1}`},
		{[]ending{lost, killed, b, broken}, statusInternal, "0 ok, 3 failed: c (signal: killed), b (exit 1), d, 1 unreachable: e",
			`{"summary":{"ok":[],"failed":["c","b","d"],"unreachable":["e"]},"status":5}`},
		{[]ending{a, stopped}, statusInterrupted, "1 ok, 1 failed: f (interrupted)", `{"summary":{"ok":["a"],"failed":["f"],"unreachable":[]},"status":130}`},
		{many, statusInternal, "0 ok, 22 unreachable: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 2 more", ""},
	} {
		text, summary := summarize(c.all, c.status)
		b, err := json.Marshal(summary)
		if err != nil || text != c.text || c.json != "" && string(b) != c.json {
			t.Errorf("got %s\n%s, %v\nwant %s\n%s", text, b, err, c.text, c.json)
		}
		if len(summary.Summary.Unreachable) > maxNamed && summary.Summary.Unreachable[maxNamed+1] != "21" {
			t.Errorf("--json does not name all: %s", b)
		}
	}
}

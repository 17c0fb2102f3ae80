package hostbuild

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// endless is a host whose build has always more to say.
type endless func(i int) wire.BuildReport

func (e endless) Build(context.Context, *gotest.Command, wire.BuildArgs) (Link, error) {
	return &endlessLink{say: e}, nil
}
func (endless) Place() Place { return Place{Gateway: "gw0"} }

type endlessLink struct {
	say func(int) wire.BuildReport
	n   int
}

func (l *endlessLink) Receive(ctx context.Context) (wire.BuildReport, error) {
	l.n++
	if l.n > 10_000_000 {
		return wire.BuildReport{}, errors.New("nobody has ended it")
	}
	return l.say(l.n), ctx.Err()
}
func (l *endlessLink) Exit() {}

// A host cannot make the controller keep what it likes of a build.
func TestEndlessBuilds(t *testing.T) {
	long := strings.Repeat("x", 8<<10)
	part, items := make([]byte, wire.ProfilePart), make([]gotest.Item, 100_000)
	for name, say := range map[string]endless{
		"packages": func(i int) wire.BuildReport {
			return wire.BuildReport{More: true, Listed: []gotest.Package{{ImportPath: fmt.Sprint(i, strings.Repeat("x", 8<<10))}}}
		},
		"tests": func(i int) wire.BuildReport {
			return wire.BuildReport{More: true, Listed: []gotest.Package{{ImportPath: "p", Items: items}}}
		},
		"binaries": func(i int) wire.BuildReport {
			return wire.BuildReport{Ready: &wire.BuiltPackage{Package: fmt.Sprint(i, strings.Repeat("x", 8<<10)), Digest: make([]byte, 32), Binary: "/b/p.test"}}
		},
		"profile": func(int) wire.BuildReport { return wire.BuildReport{Profile: part} },
		"reasons": func(i int) wire.BuildReport {
			return wire.BuildReport{More: true, Listed: []gotest.Package{{ImportPath: fmt.Sprint(i), Err: long}}}
		},
		"arguments": func(i int) wire.BuildReport {
			return wire.BuildReport{Ready: &wire.BuiltPackage{Package: fmt.Sprint(i), Digest: make([]byte, 32), Binary: "/b/p.test", Env: []string{"A", long}}}
		},
		"output":         func(int) wire.BuildReport { return wire.BuildReport{Output: &test2json.Event{Output: long}} },
		"output of none": func(int) wire.BuildReport { return wire.BuildReport{Output: &test2json.Event{}} },
		"stderr":         func(int) wire.BuildReport { return wire.BuildReport{Stderr: long} },
		"warnings":       func(i int) wire.BuildReport { return wire.BuildReport{Warning: fmt.Sprint(i)} },
	} {
		_, err := New(Config{Emit: func(gotest.BuildEvent) {}}).Run(t.Context(), say)
		if err == nil || !strings.Contains(err.Error(), "that are kept of ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

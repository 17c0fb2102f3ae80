package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"github.com/xdist-go/xdist/xspec"
)

// agentMark is in the environment of a process that was started to be an agent. ServeStdio takes it
// out again, so that what handlers start does not have it.
var agentMark = xspec.Var{Name: "XDIST_AGENT", Value: "1"}

// served is set when this process has become an agent.
var served atomic.Bool

// Main makes a program its own agent. It is the first statement of main, or of TestMain, but for
// calls of Func and Stream: in a process that was started as an agent it serves handlers, and what
// those have registered, and ends the process; elsewhere it returns at once. A process is an agent
// when a gateway has marked it as one, or when its only argument is "agent".
func Main(handlers Handlers) {
	if !InAgent() && !slices.Equal(os.Args[1:], []string{agentArgument}) {
		return
	}
	if err := ServeStdio(context.Background(), handlers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// InAgent reports whether this process was started as an agent, of this program or another that
// uses this package.
func InAgent() bool { return served.Load() || os.Getenv(agentMark.Name) != "" }

// errNotServed keeps a program without Main from starting itself for ever.
var errNotServed = errors.New("this process was started as an agent and does not serve: " +
	"call gateway.Main (or gateway.ServeStdio) as the first statement of main or TestMain")

// markAgent adds the mark to an environment.
func markAgent(env []xspec.Var) []xspec.Var { return append(slices.Clip(env), agentMark) }

package gobuild

import (
	"errors"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
)

// A process of a build that gets SIGKILL has most likely been chosen by the kernel, for want of
// memory.

// killedAdvice follows what was killed for the second time.
const killedAdvice = "the system kills processes when memory is short: free some"

// killedTool is how the go command, and the C compilers that it calls, tell of a tool that was
// killed. Package gotest has the same for the builds of tests.
var killedTool = regexp.MustCompile(`(?m)^.*: signal: killed$|: Killed signal terminated program|terminated with signal 9`)

// wasKilled reports whether the go command, or a tool that it has called, was killed.
func wasKilled(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	exit, ok := errors.AsType[*exec.ExitError](failed.Err)
	return ok && exit.String() == "signal: killed" || killedTool.MatchString(failed.Text)
}

// lessAtOnce is the flag for a build after one that was killed.
func lessAtOnce() string { return "-p=" + strconv.Itoa(max(runtime.GOMAXPROCS(0)/2, 1)) }

// advised says what to do about what was killed again.
func advised(err error) error {
	failed, ok := errors.AsType[*Error](err)
	if !ok || !wasKilled(err) {
		return err
	}
	if failed.Text != "" {
		failed.Text += "\n"
	}
	failed.Text += "killed twice: " + killedAdvice
	return err
}

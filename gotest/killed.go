package gotest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest/test2json"
)

// A process of a build that gets SIGKILL has most likely been chosen by the kernel, for want of
// memory. The build goes on with half of the parallelism, once.

const killedStatus = "signal: killed"

// killedAdvice follows what was killed for the second time.
const killedAdvice = "the system kills processes when memory is short: free some, or build less at once with -p=1"

// killedTool is how the go command, and the C compilers that it calls, tell of a tool that was
// killed.
var killedTool = regexp.MustCompile(`(?m)^.*: signal: killed$|: Killed signal terminated program|terminated with signal 9`)

// wasKilled reports whether a command was ended by SIGKILL.
func wasKilled(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && exit.String() == killedStatus
}

// advise returns what to do about a process that ended with a status, to follow that.
func advise(status string) string {
	if status == killedStatus {
		return ": " + killedAdvice
	}
	return ""
}

// halfParallelism is -p for a build after one that was killed.
func halfParallelism(c *Command) int {
	p := c.BuildP
	if p == 0 {
		p = runtime.GOMAXPROCS(0)
	}
	return max(p/2, 1)
}

// buildOutputs are the events of builds whose end is not known yet, by what is built. The reader of
// stdout owns them.
type buildOutputs struct {
	order  []string // keys of events, in the order in which they came
	events map[string][]test2json.Event
	killed map[string]bool // builds that a kill has ended: they are made again
	failed map[string]bool // builds whose failure the first time has told
	again  bool            // this is the second time, after which nothing is made again
}

// take keeps an event, and returns those that are to be shown.
func (o *buildOutputs) take(e test2json.Event) []test2json.Event {
	path := e.ImportPath
	if o.again && o.failed[path] {
		return nil
	}
	if _, known := o.events[path]; !known {
		o.order = append(o.order, path)
	}
	o.events[path] = append(o.events[path], e)
	if e.Action != test2json.ActionBuildFail {
		return nil
	}
	all := o.remove(path)
	if killed := slices.ContainsFunc(all, func(e test2json.Event) bool { return killedTool.MatchString(e.Output) }); killed {
		if !o.again {
			o.killed[path] = true
			return nil
		}
		advice := test2json.Event{ImportPath: path, Action: test2json.ActionBuildOutput, Output: "xdist: killed twice: " + killedAdvice + "\n"}
		all = slices.Insert(all, len(all)-1, advice)
	}
	o.failed[path] = !o.again
	return all
}

func (o *buildOutputs) remove(path string) []test2json.Event {
	all := o.events[path]
	delete(o.events, path)
	o.order = slices.DeleteFunc(o.order, func(p string) bool { return p == path })
	return all
}

// rest returns what is left, of builds that have not failed.
func (o *buildOutputs) rest() []test2json.Event {
	var all []test2json.Event
	for len(o.order) > 0 {
		all = append(all, o.remove(o.order[0])...)
	}
	return all
}

// buildAgain makes once more what a kill has kept from being made, and returns the new error of the
// build.
func (b *builder) buildAgain(ctx context.Context, err error) error {
	what := "the go command"
	if !wasKilled(err) {
		what = "a tool of the build of " + strings.Join(slices.Sorted(maps.Keys(b.outputs.killed)), ", ")
		if b.listable() && len(b.left) > 0 {
			b.cfg.Packages = b.left
		}
	}
	p := halfParallelism(b.cfg.Command)
	b.send(Warning{fmt.Sprintf("%s was killed, as the system does when memory is short; building again with -p=%d", what, p)})
	for _, output := range b.packages {
		if !output.settled {
			*output = packageOutput{}
		}
	}
	b.parallel = p
	b.outputs = newBuildOutputs(b.outputs.failed)
	b.outputs.again = true
	return b.run(ctx)
}

func newBuildOutputs(failed map[string]bool) buildOutputs {
	return buildOutputs{events: make(map[string][]test2json.Event), killed: make(map[string]bool), failed: failed}
}

// listable reports whether a part of the packages can be built by their import paths: coverage
// takes them all into account, and files have no import path.
func (b *builder) listable() bool {
	c := b.cfg.Command
	return !c.Cover && c.CoverProfile == "" && !hasFiles(c.Packages)
}

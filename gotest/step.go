package gotest

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Step is what the go command does right now: a tool and what it works on, such as
// "link raft.test" or "compile example.com/m/p"; of several, what has taken longest. "" is nothing
// that is known. It comes when it changes, once a second at most, and only on Linux.
type Step struct {
	Text string `cbor:"1,keyasint"`
}

func (Step) buildEvent() {}

// stepEvery is how often the go command is looked at.
const stepEvery = time.Second

// followSteps tells what the children of a process do, until ctx ends. own is the name of the
// program that is no step.
func followSteps(ctx context.Context, pid int, own string, tell func(Step)) {
	ticker := time.NewTicker(stepEvery)
	defer ticker.Stop()
	var f stepFollower
	for {
		select {
		case <-ticker.C:
			if s, changed := f.look(childrenOf(pid), own); changed {
				tell(s)
			}
		case <-ctx.Done():
			return
		}
	}
}

// child is a process that the go command has started.
type child struct {
	pid  int
	argv []string
}

// stepFollower knows what was told. The zero value has told nothing.
type stepFollower struct {
	seen []int // processes of the last look, those first that were there longest
	told string
}

// look returns the step that has taken longest, and whether it is another one than before.
func (f *stepFollower) look(children []child, own string) (s Step, changed bool) {
	at := func(pid int) int { return slices.IndexFunc(children, func(c child) bool { return c.pid == pid }) }
	f.seen = slices.DeleteFunc(f.seen, func(pid int) bool { return at(pid) < 0 })
	for _, c := range children {
		if !slices.Contains(f.seen, c.pid) {
			f.seen = append(f.seen, c.pid)
		}
	}
	for _, pid := range f.seen {
		if s.Text = stepOf(children[at(pid)].argv, own); s.Text != "" {
			break
		}
	}
	changed = s.Text != f.told
	f.told = s.Text
	return s, changed
}

// tools are those of Go whose command lines say what they work on.
var tools = []string{"compile", "asm", "cgo", "link", "vet"}

// stepOf says what a command line of the go command's is about, "" for nothing that is a step.
func stepOf(argv []string, own string) string {
	if len(argv) == 0 || argv[0] == own {
		return ""
	}
	// With -toolexec a tool is an argument of another program.
	if i := slices.IndexFunc(argv, func(arg string) bool { return slices.Contains(tools, filepath.Base(arg)) }); i > 0 {
		argv = argv[i:]
	}
	tool := filepath.Base(argv[0])
	after := func(flag string) string {
		if i := slices.Index(argv, flag); i >= 0 && i+1 < len(argv) {
			return argv[i+1]
		}
		return ""
	}
	switch tool {
	case "compile", "asm":
		return strings.TrimSpace(tool + " " + after("-p"))
	case "cgo":
		return strings.TrimSpace(tool + " " + after("-importpath"))
	case "link":
		if file := after("-o"); file != "" {
			return tool + " " + filepath.Base(file)
		}
	}
	return tool
}

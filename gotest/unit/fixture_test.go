package unit

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"go.uber.org/goleak"
)

// fixtures is where TestMain puts the test binaries of testdata/fixture.
var fixtures string

// helperEnv makes the test binary run the unit that its value describes in JSON, and print the
// output.
const helperEnv = "XDIST_UNIT_HELPER"

func TestMain(m *testing.M) {
	if text := os.Getenv(helperEnv); text != "" {
		var u Unit
		if err := json.Unmarshal([]byte(text), &u); err != nil {
			panic("BUG: " + err.Error())
		}
		Run(context.Background(), u, func(events []event) {
			for _, e := range events {
				fmt.Print(e.Output)
			}
		})
		return
	}
	goleak.VerifyTestMain(&buildFirst{m})
}

// buildFirst builds the fixtures, runs the tests, and removes the fixtures.
type buildFirst struct{ m *testing.M }

func (b *buildFirst) Run() int {
	dir, err := os.MkdirTemp("", "xdist-unit-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	fixtures = dir
	for _, args := range [][]string{
		{"./moody", "./plain"},
		{"-cover", "-coverpkg=./covered/...", "./covered"},
	} {
		cmd := exec.Command("go", append([]string{"test", "-c", "-o", dir + string(filepath.Separator)}, args...)...)
		cmd.Dir = filepath.Join("testdata", "fixture")
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build fixtures: %v\n%s", err, out)
			return 1
		}
	}
	return b.m.Run()
}

// fixture returns the unit that runs package name of the fixture with a pattern.
func fixture(t *testing.T, name, run string, args ...string) Unit {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("testdata", "fixture", name))
	if err != nil {
		t.Fatal(err)
	}
	binary, err := exec.LookPath(filepath.Join(fixtures, name+".test"))
	if err != nil {
		t.Fatal(err)
	}
	return Unit{
		Package: "fixture.test/" + name,
		Binary:  binary,
		Dir:     dir,
		Env:     os.Environ(),
		Timeout: time.Minute,
		Args:    append([]string{"-test.paniconexit0", "-test.v=test2json", "-test.timeout=1m0s", "-test.run=" + run}, args...),
	}
}

// part returns u as the part of its package that has the given tests.
func part(u Unit, names ...string) Unit {
	u.Names = names
	return u
}

func withEnv(u Unit, env ...string) Unit {
	u.Env = append(slices.Clip(u.Env), env...)
	return u
}

type event = test2json.Event

// A recorder keeps emitted events, and closes a Go channel when it sees a certain output.
type recorder struct {
	mu     sync.Mutex
	events []test2json.Event
	awaits map[string]chan string
}

func (r *recorder) emit(batch []test2json.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, batch...)
	for _, e := range batch {
		for prefix, c := range r.awaits {
			if rest, ok := strings.CutPrefix(e.Output, prefix); ok {
				c <- strings.TrimSpace(rest)
				delete(r.awaits, prefix)
			}
		}
	}
}

// await returns a Go channel that gets what follows prefix in an output event.
func (r *recorder) await(prefix string) <-chan string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.awaits == nil {
		r.awaits = make(map[string]chan string)
	}
	c := make(chan string, 1)
	r.awaits[prefix] = c
	return c
}

// output returns the joined output of a test, or of the package.
func (r *recorder) output(test string) string {
	var b strings.Builder
	for _, e := range r.events {
		if e.Action == test2json.ActionOutput && e.Test == test {
			b.WriteString(e.Output)
		}
	}
	return b.String()
}

// outcome is the part of a Result that most tests look at.
type outcome struct {
	Items      map[string]string // actions
	ExitCode   int
	Signal     string
	Failed     bool
	TimedOut   bool
	Incomplete bool
	Culprit    string
	Unfinished string
	Verdict    string
}

func outcomeOf(r Result) outcome {
	o := outcome{
		Items: map[string]string{}, ExitCode: r.ExitCode, Signal: r.Signal, Failed: r.Failed, TimedOut: r.TimedOut,
		Incomplete: r.Incomplete, Culprit: r.Culprit, Unfinished: r.Unfinished, Verdict: r.Verdict,
	}
	for name, item := range r.Items {
		o.Items[name] = item.Action
		if !item.Started {
			o.Items[name] += "not started"
		}
	}
	return o
}

// short has waits for tests in which a limit is reached.
func short(l limits) limits {
	fill := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	fill(&l.kill, time.Minute)
	fill(&l.waitDelay, time.Minute)
	fill(&l.interrupt, time.Minute)
	fill(&l.afterKill, time.Minute)
	return l
}

func runWith(t *testing.T, u Unit, l limits) (Result, *recorder) {
	t.Helper()
	rec := &recorder{}
	r := newRun(u, rec.emit)
	r.limits = l
	return r.run(context.Background()), rec
}

// Command record makes the corpus of package reporters anew: the events of runs of
// reporters/testdata/corpus/module, one file for each thing that can become of a run.
//
//	go run ./integration/record [NAME...]
//	go test ./reporters -update
//
// The second command makes the goldens of the reporters from them. What tells of the machine that
// records (places, names, numbers of processes, the time of day) is replaced; durations are those
// of the recording. Two platforms want qemu-aarch64-static (Debian's qemu-user-static).
//
// A recording ends by itself: each run has a time limit, and nothing is left behind.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// scenario is a run that is recorded.
type scenario struct {
	name      string
	args      []string
	status    int
	interrupt string // the test that runs when the run is interrupted; "" is none
}

var scenarios = []scenario{
	{name: "pass", args: []string{"--tx", "2*popen", "./pass", "./also"}},
	{name: "fail", args: []string{"--tx", "2*popen", "./pass", "./fail"}, status: 1},
	{name: "skip", args: []string{"--tx", "popen", "./skip"}},
	{name: "panic", args: []string{"--tx", "popen", "./panics"}, status: 1},
	{name: "build", args: []string{"--tx", "popen", "./broken", "./also"}, status: 3},
	{name: "vet", args: []string{"--tx", "popen", "./vetted", "./also"}, status: 3},
	{name: "flaky", args: []string{"--tx", "popen", "--reruns", "2", "./flaky"}},
	{name: "reruns", args: []string{"--tx", "popen", "--reruns", "2", "./always"}, status: 1},
	{name: "x", args: []string{"--tx", "popen", "-x", "-p", "1", "./fail", "./pass", "./skip"}, status: 1},
	{name: "interrupt", args: []string{"--tx", "popen", "./waits"}, status: 130, interrupt: "TestWaits"},
	{name: "lost", args: []string{"--tx", "popen", "./lost"}, status: 1},
	{name: "platforms", args: []string{"--tx", "popen", "--tx", "popen//goarch=arm64//exec=qemu-aarch64-static", "./endian"}, status: 1},
	{name: "shard", args: []string{"--tx", "popen", "--shard", "1/2", "./pass", "./fail", "./also"}, status: 1},
	{name: "names", args: []string{"--tx", "popen", "./names"}, status: 1},
	{name: "binary", args: []string{"--tx", "popen", "./binary"}, status: 1},
	{name: "ansi", args: []string{"--tx", "popen", "./ansi"}, status: 1},
}

// runLimit is how long a run may take: with empty caches it compiles the standard library for
// another platform.
const runLimit = 5 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := record(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

// record records the named scenarios, or all.
func record(ctx context.Context, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("there is no run %q to record", name)
		}
	}
	corpus := filepath.Join("reporters", "testdata", "corpus")
	if _, err := os.Stat(corpus); err != nil {
		return fmt.Errorf("find the corpus from the root of the module: %w", err)
	}
	work, err := os.MkdirTemp("", "xdist-record-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) // a rest does no harm
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("find the sources of Go: %w", err)
	}
	r := &recorder{work: work, xdist: filepath.Join(work, "xdist"), module: filepath.Join(work, "module"), goroot: strings.TrimSpace(string(root))}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", r.xdist, "./cmd/xdist").CombinedOutput(); err != nil {
		return fmt.Errorf("build xdist: %w: %s", err, out)
	}
	if err := os.CopyFS(r.module, os.DirFS(filepath.Join(corpus, "module"))); err != nil {
		return err
	}
	for _, s := range scenarios {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		text, err := r.run(ctx, s)
		if err != nil {
			return fmt.Errorf("record %s: %w", s.name, err)
		}
		if err := os.WriteFile(filepath.Join(corpus, s.name+".ndjson"), []byte(r.stable(text)), 0o644); err != nil {
			return err
		}
		fmt.Println("recorded", s.name)
	}
	return nil
}

type recorder struct{ work, xdist, module, goroot string }

// run returns the events of a run.
func (r *recorder) run(ctx context.Context, s scenario) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.xdist, slices.Concat([]string{"--events", "-", "--testrunuid", "run-" + s.name}, s.args)...)
	cmd.Dir = r.module
	cmd.Env = append(os.Environ(), "XDIST_CACHE="+filepath.Join(r.work, "cache"), "XDIST_NO_HISTORY=1", "TMPDIR="+r.work, "GOWORK=off", "GOFLAGS=", "PWD="+r.module)
	out := &recording{test: s.interrupt, begins: func() error { return cmd.Process.Signal(os.Interrupt) }}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, os.Stderr, 10*time.Second
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return "", err
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("it did not end: %w", ctx.Err())
	}
	if code := cmd.ProcessState.ExitCode(); code != s.status {
		return "", fmt.Errorf("%v, want exit status %d", cmd.ProcessState, s.status)
	}
	if s.interrupt != "" && !out.begun {
		return "", fmt.Errorf("%s never began", s.interrupt)
	}
	return string(out.text), nil
}

// recording keeps the events of a run, and calls begins when one of them says that a test runs. Its
// error is that of Write, and so ends the run.
type recording struct {
	test   string // "" is none
	begins func() error

	text  []byte
	line  int // in text, where the line begins that is not complete
	begun bool
}

// Write implements io.Writer.
func (r *recording) Write(p []byte) (int, error) {
	r.text = append(r.text, p...)
	for {
		end := bytes.IndexByte(r.text[r.line:], '\n')
		if end < 0 {
			return len(p), nil
		}
		line := r.text[r.line : r.line+end]
		r.line += end + 1
		if r.test == "" || r.begun || !r.says(line) {
			continue
		}
		r.begun = true
		if err := r.begins(); err != nil {
			return 0, err
		}
	}
}

// says reports whether an event says that the test runs.
func (r *recording) says(line []byte) bool {
	for _, field := range []string{`"event":"progress"`, `"action":"run"`, `"test":"` + r.test + `"`} {
		if !bytes.Contains(line, []byte(field)) {
			return false
		}
	}
	return true
}

var (
	timeField = regexp.MustCompile(`"time":"([^"]*)"`)
	pidField  = regexp.MustCompile(`"pid":\d+`)
	hostField = regexp.MustCompile(`"hostname":"[^"]*"`)
	digest    = regexp.MustCompile(`"binary":"[^"]*"`)
	address   = regexp.MustCompile(`0x[0-9a-f]{4,}`)
	goroutine = regexp.MustCompile(`goroutine \d+ `)
	building  = regexp.MustCompile(`/the/work/[^/" ]*/`)
)

// begun is when all recorded runs began.
var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// stable takes out of a recording what tells of the machine: places become /the/module, /the/work
// and /the/go. Times keep their distance from the first one, in milliseconds.
func (r *recorder) stable(text string) string {
	text = strings.NewReplacer(r.module, "/the/module", r.work, "/the/work", r.goroot, "/the/go").Replace(text)
	text = building.ReplaceAllString(text, "/the/work/")
	var first time.Time
	text = timeField.ReplaceAllStringFunc(text, func(field string) string {
		at, err := time.Parse(time.RFC3339Nano, timeField.FindStringSubmatch(field)[1])
		if err != nil {
			return field
		}
		if first.IsZero() {
			first = at
		}
		return `"time":"` + begun.Add(at.Sub(first).Truncate(time.Millisecond)).Format(time.RFC3339Nano) + `"`
	})
	text = pidField.ReplaceAllString(text, `"pid":1`)
	text = hostField.ReplaceAllString(text, `"hostname":"recorder"`)
	text = digest.ReplaceAllString(text, `"binary":"digest"`)
	text = goroutine.ReplaceAllString(text, "goroutine 1 ")
	return address.ReplaceAllString(text, "0xc0ffee")
}

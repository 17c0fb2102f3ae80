package gotest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/gotest/test2json"
)

// BuildConfig says what to build and how. Command, Store, RunID, RunDir and Handoff must be set.
type BuildConfig struct {
	Command  *Command
	Go       string   // the go command; "" is "go"
	Env      []string // of the go command; nil is os.Environ()
	Dir      string   // where the go command starts; "" is the current directory
	Packages []string // what to build, import paths or patterns; nil is Command.Packages
	Store    *store.Store
	RunID    string   // unique to the run; marks the hand-off lines
	RunDir   string   // private directory of the run, removed by the caller at its end
	Handoff  []string // the command that runs Handoff; the run's directory and the binary's command line are appended

	// Actions is the file in which the go command leaves its account of the build (see
	// readActions); "" asks for none.
	Actions string
}

// Build events, the values that Build hands to its callback.
type (
	// Ready is a package whose test binary is in the store.
	Ready struct {
		Package   string
		Digest    store.Digest
		Name      string   // file name that the binary expects to have
		Binary    string   // its path here; set by Load
		Args      []string // behind the binary's name, as `go test` would pass them
		Dir       string
		Env       []string // what to change in the environment
		CoverMeta string   // directory for each process' GOCOVERDIR to start from, or ""
		Tests     []Item   // the tests compiled in; nil when they are not known (taken from the store)
		Host      string   // the host that has built it, and that Binary, Dir, Env and CoverMeta are of; "" is this one

		main string // testmainSum of what it was built from; "" when taken from the store
	}
	// Reported is a package about which cmd/go has said all: it did not build, vet rejected it, its
	// setup failed, or it has no test files. Events are its part of the `go test -json` stream,
	// from start to its terminal event.
	Reported struct {
		Package string
		Events  []test2json.Event
		// Excluded is why the go command knows nothing of a package that is in the collection, or
		// "". Its tests cannot run.
		Excluded string
	}
	// BuildOutput is a build-output or build-fail event. It comes before the Reported of the
	// packages that it stopped.
	BuildOutput struct{ Event test2json.Event }
	// Stderr is what the go command wrote for no package.
	Stderr struct{ Text string }
)

// BuildEvent is one of Ready, Reported, BuildOutput, Stderr, Step and Warning, and from Load also
// Listed and Profile.
type BuildEvent interface{ buildEvent() }

func (Ready) buildEvent()       {}
func (Reported) buildEvent()    {}
func (BuildOutput) buildEvent() {}
func (Stderr) buildEvent()      {}

// BuildError says that the go command failed and reported no package as failed.
type BuildError struct {
	Status string // "exit status 1"
	Stderr string // the end of its standard error
}

func (e *BuildError) Error() string {
	msg := "go test: " + e.Status
	if e.Stderr != "" {
		msg += ": " + e.Stderr
	}
	return msg + advise(e.Status)
}

// Build runs `go test -json -exec <hand-off>` and calls emit, from one goroutine at a time, as
// packages become ready. It returns when the go command has ended. Cancelling ctx interrupts the go
// command, which removes its temporary files, and kills it after a while. A package that fails is
// no error; a go command that fails without a word about any package is a *BuildError. What a
// kill has kept from being built is tried once more, with half of the parallelism and a Warning.
func Build(ctx context.Context, cfg BuildConfig, emit func(BuildEvent)) error {
	b := &builder{cfg: cfg, emit: emit, packages: make(map[string]*packageOutput), outputs: newBuildOutputs(make(map[string]bool))}
	err := b.run(ctx)
	if ctx.Err() == nil && (wasKilled(err) || len(b.outputs.killed) > 0) {
		err = b.buildAgain(ctx, err)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit) && !b.reported:
		return &BuildError{Status: exit.Error(), Stderr: strings.TrimSpace(b.stderr)}
	case exit != nil:
		return nil
	}
	return err
}

// run runs the go command once.
func (b *builder) run(ctx context.Context) error {
	cmd, err := b.command(ctx)
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	tail := &tailWriter{line: func(text string) { b.send(Stderr{text}) }}
	cmd.Stderr = tail
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	ctx, ended := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() {
		followSteps(ctx, cmd.Process.Pid, b.cfg.Handoff[0], func(s Step) { b.send(s) })
	})
	readErr := b.read(stdout)
	ended()
	following.Wait() // before the process is, whose number may be another's then
	err = cmd.Wait()
	tail.flush()
	b.stderr = tail.end()
	b.show(b.outputs.rest())
	if readErr != nil {
		return fmt.Errorf("read go test -json: %w", readErr)
	}
	if err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	return nil
}

// builder is the state of one Build. The reader of stdout owns packages, reported, outputs and
// left.
type builder struct {
	cfg      BuildConfig
	packages map[string]*packageOutput
	reported bool // some package has a failure of its own
	outputs  buildOutputs
	left     []string // packages that were not built because a process was killed
	parallel int      // -p, or 0 for the command's own
	stderr   string   // the end of the go command's standard error

	mu   sync.Mutex // serialises emit between stdout's reader and stderr's
	emit func(BuildEvent)
}

// packageOutput is what go test has said of a package that is not settled.
type packageOutput struct {
	events  []test2json.Event
	output  []byte
	settled bool // handed off or reported: what follows is of no interest
}

func (b *builder) send(e BuildEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.emit(e)
}

// show sends events of builds.
func (b *builder) show(events []test2json.Event) {
	for _, e := range events {
		b.send(BuildOutput{e})
	}
}

func (b *builder) command(ctx context.Context) (*exec.Cmd, error) {
	cfg := b.cfg
	env := cfg.Env
	if env == nil {
		env = os.Environ()
	}
	if err := writeHandoffConfig(cfg.RunDir, handoffConfig{
		RunID: cfg.RunID, Store: cfg.Store.Dir(), Env: env, Left: cfg.Command.Output != "" || len(cfg.Command.Profiles) > 0,
	}); err != nil {
		return nil, fmt.Errorf("prepare the build: %w", err)
	}
	args, err := buildArgs(cfg, b.parallel)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, goCommand(cfg.Go), args...)
	cmd.Dir = cfg.Dir
	cmd.Env = env
	ownGroup(cmd)
	cmd.WaitDelay = 10 * time.Second // go test removes its work directory when it is interrupted
	return cmd, nil
}

func goCommand(name string) string {
	if name == "" {
		return "go"
	}
	return name
}

// buildArgs is the go command's command line. The test arguments are passed on in their -test.
// form, which cmd/go knows too, so that what it needs to know for the build (-fuzz instruments
// packages) reaches it. parallel is -p, or 0 for the command's own.
func buildArgs(cfg BuildConfig, parallel int) ([]string, error) {
	c := cfg.Command
	handoff, err := quoteFields(append(append([]string{}, cfg.Handoff...), cfg.RunDir))
	if err != nil {
		return nil, err
	}
	args := []string{"test"}
	args = append(args, c.BuildFlags...)
	if parallel > 0 {
		args = append(args, fmt.Sprintf("-p=%d", parallel))
	}
	if cfg.Actions != "" {
		args = append(args, "-debug-actiongraph="+cfg.Actions)
	}
	args = append(args, c.coverFlags()...)
	args = append(args, "-json", "-count=1", "-exec="+handoff)
	if c.vetSet {
		args = append(args, "-vet="+c.Vet)
	}
	if c.Output != "" {
		args = append(args, "-o="+c.Output)
	}
	if c.CoverProfile != "" {
		args = append(args, "-coverprofile="+coverProfileFile(cfg.RunDir))
	}
	packages := cfg.Packages
	if packages == nil {
		packages = c.Packages
	}
	if len(packages) == 0 {
		packages = []string{"."}
	}
	args = append(args, packages...)
	verbatim := len(c.TestArgs) - c.Verbatim
	for _, a := range c.TestArgs[:verbatim] {
		if a != "-test.paniconexit0" && a != "-test.v=test2json" && !strings.HasPrefix(a, "-test.coverprofile=") {
			args = append(args, a)
		}
	}
	if c.Verbatim > 0 {
		args = append(append(args, "-args"), c.TestArgs[verbatim:]...)
	}
	return args, nil
}

// coverProfileFile is where a Build with -coverprofile leaves the profile of the packages without
// test files.
func coverProfileFile(runDir string) string { return filepath.Join(runDir, "go-cover.out") }

// quoteFields joins args so that cmd/go's -exec splits them again: it knows quotes and no escapes.
func quoteFields(args []string) (string, error) {
	quoted := make([]string, len(args))
	for i, a := range args {
		switch {
		case !strings.ContainsAny(a, " \t\n\r'\"") && a != "":
			quoted[i] = a
		case !strings.Contains(a, "'"):
			quoted[i] = "'" + a + "'"
		case !strings.Contains(a, `"`):
			quoted[i] = `"` + a + `"`
		default:
			return "", fmt.Errorf("pass %q to go test -exec: it holds both kinds of quotes", a)
		}
	}
	return strings.Join(quoted, " "), nil
}

func (b *builder) read(stdout io.Reader) error {
	r := bufio.NewReaderSize(stdout, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			if err := b.line(line); err != nil {
				// The rest is read all the same: a go command that blocks on a full pipe would
				// never end.
				_, _ = io.Copy(io.Discard, r) // the first error is the one to report
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (b *builder) line(line []byte) error {
	var e test2json.Event
	if line[0] != '{' || json.Unmarshal(line, &e) != nil || e.Action == "" {
		b.send(Stderr{string(line)})
		return nil
	}
	if e.Package == "" {
		if e.Action == test2json.ActionBuildOutput || e.Action == test2json.ActionBuildFail {
			b.show(b.outputs.take(e))
		}
		return nil
	}
	p := b.packages[e.Package]
	if p == nil {
		p = new(packageOutput)
		b.packages[e.Package] = p
	}
	return b.packageEvent(p, e)
}

func (b *builder) packageEvent(p *packageOutput, e test2json.Event) error {
	if p.settled {
		return nil // PASS, ok and pass of the hand-off program
	}
	p.events = append(p.events, e)
	if e.Action == test2json.ActionOutput {
		p.output = append(p.output, e.Output...)
		h, done, err := parseHandoff(b.cfg.RunID, p.output)
		if err != nil {
			return err
		}
		if done {
			*p = packageOutput{settled: true}
			b.send(Ready{Package: e.Package, Digest: h.Digest, Name: h.Name, Args: h.Args, Dir: h.Dir, Env: h.Env, CoverMeta: h.CoverMeta, Tests: h.Tests, main: h.Main})
		}
		return nil
	}
	if e.Test == "" && e.Terminal() {
		if b.outputs.killed[e.FailedBuild] {
			b.left = append(b.left, e.Package)
			return nil
		}
		b.show(b.outputs.rest())
		b.reported = b.reported || e.Action == test2json.ActionFail
		events := p.events
		*p = packageOutput{settled: true}
		b.send(Reported{Package: e.Package, Events: events})
	}
	return nil
}

// tailWriter passes whole lines on and keeps the end for an error text. exec.Cmd calls Write from
// one goroutine.
type tailWriter struct {
	line    func(string)
	partial []byte
	last    []byte
}

// tailBytes is how much of a standard error an error text quotes: about a screenful.
const tailBytes = 2 << 10

func (w *tailWriter) Write(p []byte) (int, error) {
	w.partial = append(w.partial, p...)
	if i := bytes.LastIndexByte(w.partial, '\n'); i >= 0 {
		w.take(w.partial[:i+1])
		w.partial = append(w.partial[:0], w.partial[i+1:]...)
	}
	return len(p), nil
}

func (w *tailWriter) flush() {
	if len(w.partial) > 0 {
		w.take(w.partial)
		w.partial = nil
	}
}

func (w *tailWriter) take(text []byte) {
	w.line(string(text))
	w.last = append(w.last, text...)
	if over := len(w.last) - tailBytes; over > 0 {
		w.last = append(w.last[:0], w.last[over:]...)
	}
}

func (w *tailWriter) end() string { return string(w.last) }

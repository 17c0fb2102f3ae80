package ci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/scheduler/event"
)

// Config says what a Reporter tells and where. Service must be set.
type Config struct {
	Service Service
	Out     io.Writer           // the log of the job
	Getenv  func(string) string // nil: os.Getenv
	// Failures is what other reporters of the run ask too, and is handed each event before them;
	// nil: nobody does.
	Failures *failure.Watch
}

// Reporter tells a CI service of a run. Its methods are called from one goroutine.
type Reporter struct {
	cfg      Config
	root     string
	failures failure.Shared
	flows    flows
	summary  summary
	notes    int
	runID    string
	ended    *event.RunEnded
}

// New returns a Reporter, which writes nothing before there is something to tell.
func New(cfg Config) *Reporter {
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	return &Reporter{cfg: cfg, failures: failure.Share(cfg.Failures)}
}

// Handle tells of a failure when it counts. The error is the log's.
func (r *Reporter) Handle(e event.Event) error {
	ended := r.failures.See(e)
	switch e := e.(type) {
	case event.RunStarted:
		r.root, r.runID = r.cfg.Service.Root(e.Workdir, r.cfg.Getenv), e.RunID
	case event.Test:
		text := ""
		if r.cfg.Service == TeamCity {
			text = r.flows.add(e, ended)
		}
		if ended != nil && !ended.Again {
			if r.cfg.Service.summary() {
				r.summary.add(ended, r.root)
			}
			text += r.annotations(ended)
		}
		return r.write(text)
	case event.RunEnded:
		r.ended = &e
	}
	return nil
}

func (r *Reporter) write(text string) error {
	if text == "" {
		return nil
	}
	if _, err := io.WriteString(r.cfg.Out, text); err != nil {
		return fmt.Errorf("write to the log of the CI service: %w", err)
	}
	return nil
}

func (r *Reporter) annotations(e *failure.Ended) string {
	var b strings.Builder
	for _, f := range e.Findings {
		if r.notes++; r.notes <= maxAnnotations {
			b.WriteString(r.cfg.Service.annotation(noteOf(f, r.root)))
		}
	}
	return b.String()
}

// Close writes the summary of the job. That it cannot be written is an error: a report must not be
// missing in silence.
func (r *Reporter) Close() error {
	if r.ended == nil {
		return nil
	}
	var flaky strings.Builder
	for _, it := range r.ended.Summary.Durations {
		if it.Verdict != event.Flaky {
			continue
		}
		if r.notes++; r.notes <= maxAnnotations {
			flaky.WriteString(r.cfg.Service.annotation(note{warning: true, title: it.ID, message: fmt.Sprintf("flaky: failed in %d of %d attempts", it.Failures, it.Failures+1)}))
		}
	}
	err := r.write(flaky.String())
	if r.cfg.Service.summary() {
		err = errors.Join(err, r.summarize(r.summary.markdown(r.ended)))
	}
	return err
}

// summarize brings the text to where the service shows it.
func (r *Reporter) summarize(text string) error {
	switch r.cfg.Service {
	case GitHub:
		file := r.cfg.Getenv("GITHUB_STEP_SUMMARY")
		if file == "" {
			return nil
		}
		if err := appendTo(file, text); err != nil {
			return fmt.Errorf("write the job summary: %w", err)
		}
	case Azure:
		dir := r.cfg.Getenv("AGENT_TEMPDIRECTORY")
		if dir == "" {
			return nil
		}
		file := filepath.Join(dir, "xdist-"+r.runID+".md")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the job summary: %w", err)
		}
		return r.write("##vso[task.uploadsummary]" + azureData(file) + "\n")
	case Buildkite:
		return r.annotate(text)
	}
	return nil
}

// appendTo adds to a file that the service has made.
func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

// annotateTimeout is how long the agent of Buildkite may take.
const annotateTimeout = 30 * time.Second

// annotate gives the text to the agent of Buildkite, where there is one.
func (r *Reporter) annotate(text string) error {
	agent, err := exec.LookPath("buildkite-agent")
	if err != nil {
		return nil // a step in a container has none, and the log tells the same
	}
	style := map[event.Outcome]string{event.Passed: "success", event.NotDone: "warning", event.Failed: "error"}[r.ended.Outcome()]
	ctx, cancel := context.WithTimeout(context.Background(), annotateTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, agent, "annotate", "--style", style, "--context", "xdist")
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(text), time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("annotate the build: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

var _ event.Reporter = (*Reporter)(nil)

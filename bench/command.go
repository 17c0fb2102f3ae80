package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bench is what the parts share.
type bench struct {
	xdist   string // the executable
	python  string // interpreter that is asked for execnet
	runs    int    // of each thing; 0 leaves it to the part
	verbose bool
	out     io.Writer // tables
	log     io.Writer // progress

	work   string // temporary directory: modules and what commands print
	stores string // temporary directory where xdist's own store would be, for the same file system
	serial int    // of the last log
}

// count is how many runs a part makes that would make so many by itself.
func (b *bench) count(own int) int {
	if b.runs > 0 {
		return b.runs
	}
	return own
}

// timing is one run of a command.
type timing struct {
	wall   time.Duration
	cpu    time.Duration // of it and of its children, where the system tells
	status int           // exit status
	log    string        // file with what it printed on both outputs
}

// interruptWait is how long a command may take to end after an interrupt.
const interruptWait = 10 * time.Second

// prepare makes a command that prints into a file of its own, as in a shell with >log 2>&1.
func (b *bench) prepare(ctx context.Context, dir string, argv []string) (*exec.Cmd, *os.File, error) {
	b.serial++
	log, err := os.Create(filepath.Join(b.work, fmt.Sprintf("%03d-%s.log", b.serial, filepath.Base(argv[0]))))
	if err != nil {
		return nil, nil, fmt.Errorf("run %s: %w", argv[0], err)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "PWD="+dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = interruptWait
	if b.verbose {
		fmt.Fprintf(b.log, "bench: (cd %s && %s)\n", dir, strings.Join(argv, " "))
	}
	return cmd, log, nil
}

// run runs a command to its end. That it fails is no error here: the timing has its status.
func (b *bench) run(ctx context.Context, dir string, argv ...string) (timing, error) {
	cmd, log, err := b.prepare(ctx, dir, argv)
	if err != nil {
		return timing{}, err
	}
	defer log.Close() // the commands wrote it
	start := time.Now()
	err = cmd.Run()
	return b.finish(ctx, cmd, err, start, log.Name())
}

func (b *bench) finish(ctx context.Context, cmd *exec.Cmd, err error, start time.Time, log string) (timing, error) {
	t := timing{wall: time.Since(start), log: log}
	if ctx.Err() != nil {
		return t, fmt.Errorf("run %s: %w", cmd.Path, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return t, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	t.status = cmd.ProcessState.ExitCode()
	t.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if b.verbose {
		fmt.Fprintf(b.log, "bench: %.2f s, CPU %.2f s, exit status %d\n", t.wall.Seconds(), t.cpu.Seconds(), t.status)
	}
	return t, nil
}

// progress tells what goes on; the tables come late.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(b.log, "bench: "+format+"\n", args...)
}

// emptyStore makes a directory for xdist's store and returns it with what removes it.
func (b *bench) emptyStore() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(b.stores, "store-")
	if err != nil {
		return "", nil, fmt.Errorf("make an empty store: %w", err)
	}
	return dir, func() { os.RemoveAll(dir) }, nil // what is left goes with stores
}

// lastLines returns the end of a file, for a message.
func lastLines(file string, n int) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "    " + strings.Join(lines[max(0, len(lines)-n):], "\n    ")
}

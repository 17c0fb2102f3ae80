package unit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

const (
	minWaitDelay = 5 * time.Second // as in cmd/go
	minKillGrace = time.Minute     // as in cmd/go
	// interruptGrace is for how long a process may go on after ctx has ended and it got SIGINT.
	// With afterKill it is less than what an agent leaves its handlers when its controller is gone
	// (half of gateway.Config.Grace): the kill must come before the agent ends.
	interruptGrace = time.Second
	// afterKill is for how long the output may stay open when the whole process group has been
	// killed. Only a process that left the group can hold it then.
	afterKill = time.Second
	// pipeSize is what a pipe may hold that the process wrote before its end.
	pipeSize = 1 << 20
	// panicStatus is the exit status of a process that the runtime ends.
	panicStatus = 2
)

// Run runs the unit's process, emits its events in order, and returns when the process has been
// reaped, what it left behind has been killed and all events are emitted. It blocks for as long as
// that takes. A process that cannot be started is a Result with Started false and its cause in Err,
// and in the stream, as in `go test`.
//
// When ctx ends, so does the process; Result says so. Run may be called concurrently.
func Run(ctx context.Context, u Unit, emit Emit) Result {
	return newRun(u, emit).run(ctx)
}

// limits are the waits of one run. Zero is none.
type limits struct {
	kill      time.Duration // from the start to traceSignal
	waitDelay time.Duration // from traceSignal to the kill, and from the exit to the end of the output
	interrupt time.Duration // from the end of ctx to the kill
	afterKill time.Duration // from the kill of the group to the end of the output
}

// testLimits are the rules of cmd/go for -timeout.
func testLimits(u Unit, flags []testArg) limits {
	l := limits{interrupt: interruptGrace, afterKill: afterKill}
	if u.Timeout > 0 && lastValue(flags, "bench") == "" && lastValue(flags, "fuzz") == "" {
		l.waitDelay = max(u.Timeout/10, minWaitDelay)
		l.kill = u.Timeout + max(minKillGrace, l.waitDelay)
	}
	return l
}

// A run is one call of Run.
type run struct {
	u        Unit
	flags    []testArg // the -test.* flags of u.Args
	limits   limits
	emit     Emit
	start    func(*exec.Cmd) error // (*exec.Cmd).Start
	streamed bool                  // Unit.Streamed; benchmarks and fuzzing are too

	cover coverDir
	out   *stream

	control     *Control
	quit        bool // the process was asked for its stacks by Control.Quit
	interrupted bool // ctx ended while the process ran
	traced      bool // the kill timer sent traceSignal
	killed      bool // the kill timer killed the process, for lack of traceSignal
	incomplete  bool
	damaged     bool // Result.Damaged

	overdue     string        // the test that was out of time, or ""
	testTimeout time.Duration // its limit
}

func newRun(u Unit, emit Emit) *run {
	flags := testArgs(u.Args)
	control := u.Control
	if control == nil {
		control = new(Control)
	}
	r := &run{
		u: u, flags: flags, emit: emit, control: control,
		limits:   testLimits(u, flags),
		start:    (*exec.Cmd).Start,
		streamed: u.Streamed || lastValue(flags, "bench") != "" || lastValue(flags, "fuzz") != "",
		out:      newStream(u, u.CoverProfile || hasFlag(flags, "gocoverdir"), emit),
	}
	r.out.clocks, r.out.control = newClocks(u, flags), control
	return r
}

func (r *run) run(ctx context.Context) Result {
	start := time.Now()
	var state *os.ProcessState
	p, err := r.launch(ctx)
	defer r.cover.remove()
	if p != nil {
		err = r.attend(ctx, p)
		state = p.cmd.ProcessState
	}
	r.out.join()
	r.damaged = r.suspects(err) && r.u.Damaged()
	res := r.result(state, err)
	if res.Failed && res.Started && !res.Interrupted {
		res.Changed = changedFiles(r.u.Dir, start)
	}
	res.Wall = max(0, time.Since(start)-r.control.held(start, time.Now()))
	return res
}

// suspects reports whether a process ended as that of a damaged binary may.
func (r *run) suspects(err error) bool {
	return err != nil && r.u.Damaged != nil && !r.interrupted && !r.traced && !r.killed && len(r.out.track.items) == 0
}

// launch starts the process and the reading of its output.
func (r *run) launch(ctx context.Context) (*process, error) {
	if err := r.awaitGoOn(ctx); err != nil {
		r.interrupted = true
		return nil, err
	}
	args, env, err := r.command()
	if err != nil {
		return nil, err
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make output pipe of %s: %w", r.u.Package, err)
	}
	defer pw.Close()
	r.out.begin(pr)
	p, err := startProcess(ctx, func() *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = r.u.Dir, env
		cmd.Stdout, cmd.Stderr = pw, pw
		return cmd
	}, r.start)
	r.interrupted = err != nil && ctx.Err() != nil
	if _, dirErr := os.Stat(r.u.Dir); err != nil && dirErr != nil {
		// The system's error names the binary, whatever it was that did not exist.
		err = &os.PathError{Op: "chdir", Path: r.u.Dir, Err: errors.Unwrap(dirErr)}
	}
	return p, err
}

// command returns the arguments and the environment of the process.
func (r *run) command() (args, env []string, err error) {
	args = r.u.Args
	if r.u.Part != nil {
		run, skip := r.u.Part.patterns()
		args = setFlag(args, "run", run)
		if skip != "" {
			args = setFlag(args, "skip", skip)
		}
	} else if r.u.split() {
		pattern, err := RunPattern(lastValue(r.flags, "run"), r.u.Names)
		if err != nil {
			return nil, nil, err
		}
		args = setFlag(args, "run", pattern)
	}
	env = append(slices.Clip(r.u.Env), "PWD="+r.u.Dir)
	if r.out.covered {
		var coverEnv []string
		if r.cover, args, coverEnv, err = newCoverDir(r.u, args); err != nil {
			return nil, nil, err
		}
		env = append(env, coverEnv...)
	}
	return slices.Concat(r.u.Exec, []string{r.u.Binary}, args), env, nil
}

// attend waits for the end of the process and of its output, enforces the limits, and returns what
// exec.Cmd.Run would have returned to `go test`.
func (r *run) attend(ctx context.Context, p *process) error {
	escalated := r.awaitExit(ctx, p)
	open := r.awaitOutput(ctx, escalated)
	p.group.Close()
	if open {
		r.awaitClose()
	}
	switch {
	case p.err != nil:
		return p.err
	case r.traced || r.killed:
		return context.DeadlineExceeded // it exited 0 on the signal
	case open && !r.interrupted && !r.quit:
		r.incomplete = true
		return exec.ErrWaitDelay
	}
	return nil
}

// errQuit is why a process is not started.
var errQuit = errors.New("the run is to end")

// awaitGoOn waits while processes are held. Its error is why none is to be started.
func (r *run) awaitGoOn(ctx context.Context) error {
	for {
		held, quit, changedc := r.control.state()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case quit:
			return errQuit
		case !held:
			return nil
		}
		select {
		case <-changedc:
		case <-ctx.Done():
		}
	}
}

// awaitExit waits for the process, holds it and asks it for its stacks as Control says, and sees to
// it that it ends when ctx does or its time is over. It reports whether the group had to be killed.
func (r *run) awaitExit(ctx context.Context, p *process) (escalated bool) {
	var killc <-chan struct{}
	var lookc, escalatec <-chan time.Time
	if r.limits.kill > 0 {
		expiredc, stop := r.control.after(r.limits.kill)
		defer stop()
		killc = expiredc
	}
	if every := r.out.clocks.every(); every > 0 {
		look := time.NewTicker(every)
		defer look.Stop()
		lookc = look.C
	}
	donec := ctx.Done()
	stopped := false // the group is
	for {
		held, quit, changedc := r.control.state()
		hold := held && escalatec == nil // what is to end goes on
		switch {
		case hold && !stopped:
			stopped = p.group.Stop() == nil
		case !hold && stopped:
			stopped = false
			p.group.Continue() // it may have ended
		}
		if quit && escalatec == nil {
			killc, lookc = nil, nil
			r.endQuitting(p)
			escalatec = time.After(dumpGrace)
			continue
		}
		select {
		case <-p.exitedc:
			return escalated
		case <-changedc:
		case <-lookc:
			if r.endOverdue(p) {
				lookc, killc = nil, nil
				escalatec = time.After(dumpGrace)
			}
		case <-donec:
			r.interrupted = true
			donec, killc, lookc = nil, nil, nil
			p.group.Interrupt() // it may have ended
			escalatec = time.After(r.limits.interrupt)
		case <-killc:
			killc, lookc = nil, nil
			r.outOfTime(p)
			escalatec = time.After(r.limits.waitDelay)
		case <-escalatec:
			escalated = true
			p.group.Kill()
		}
	}
}

// endQuitting asks a process for its stacks, which are output of the test that it runs.
func (r *run) endQuitting(p *process) {
	r.quit = true
	if !canTrace {
		p.group.Kill()
		return
	}
	r.out.blameRunning.Store(true)
	trace(p.cmd.Process) // it may have ended
}

// outOfTime ends a process that went on after its timeout.
func (r *run) outOfTime(p *process) {
	if !canTrace {
		r.killed = true
		p.group.Kill()
		return
	}
	r.traced = trace(p.cmd.Process) == nil
}

// awaitOutput waits for the end of the output of a process that has exited, and reports whether it
// is still open. escalated says that its group was killed.
func (r *run) awaitOutput(ctx context.Context, escalated bool) (open bool) {
	select {
	case <-r.out.donec:
		return false
	default:
	}
	delay, donec := r.limits.waitDelay, ctx.Done()
	if escalated || r.interrupted || r.quit || r.overdue != "" {
		delay, donec = r.limits.afterKill, nil
	}
	var expiredc <-chan time.Time
	if delay > 0 {
		t := time.NewTicker(delay)
		defer t.Stop()
		expiredc = t.C
	}
	read := r.out.taken.Load()
	for {
		select {
		case <-r.out.donec:
			return false
		case <-donec:
			r.interrupted = true
			return true
		case <-expiredc:
			// What the process wrote may wait in the pipe for an Emit that is slow.
			if r.out.emitting.Load() && r.out.taken.Load()-read <= pipeSize {
				continue
			}
			return true
		}
	}
}

// awaitClose gives an output, whose writers have just been killed, a moment to be read, then stops
// reading.
func (r *run) awaitClose() {
	t := time.NewTimer(r.limits.afterKill)
	defer t.Stop()
	select {
	case <-r.out.donec:
	case <-t.C:
		r.out.stop()
		<-r.out.donec
	}
}

// result ends the stream and makes the Result. state is nil when the process was not started; err
// is what exec.Cmd.Run would return.
func (r *run) result(state *os.ProcessState, err error) Result {
	out := r.out
	out.finish(r.tail(err))
	res := Result{
		Started:     state != nil,
		ExitCode:    -1,
		Failed:      err != nil || r.interrupted && out.sift.verdict == "",
		Incomplete:  r.incomplete,
		Damaged:     r.damaged,
		Interrupted: r.interrupted && (err != nil || out.sift.verdict == ""),
		Verdict:     out.sift.verdict,
		Shuffle:     out.sift.shuffle,
		NoTests:     out.scan.noTests,
		Suffix:      out.scan.suffix(),
		Coverage:    out.scan.coverage,
	}
	if r.u.split() {
		res.Coverage = out.sift.coverage
	}
	if state != nil {
		res.ExitCode, res.Signal = state.ExitCode(), signalName(state)
	}
	died := res.Failed && res.Verdict == ""
	res.TimedOut = r.traced || r.killed || died && out.scan.timedOut
	res.Items = out.track.results(died, rounds(r.flags))
	if died && res.Started && !res.Interrupted {
		if res.ExitCode != panicStatus && res.Signal == "" {
			out.scan.panicked = panicText{} // it was of a process that a test has run
		}
		res.Panic = out.scan.panicked.String()
		res.Culprit, res.TestTimeout = r.culprit()
	}
	r.judge(&res, err)
	return res
}

// judge fills in Err, the profile, and the test in whose middle a process exited 0.
func (r *run) judge(res *Result, err error) {
	profile, profileErr := r.cover.read()
	res.Profile = profile
	switch {
	case res.Interrupted:
		res.Err = fmt.Sprintf("run %s: interrupted", r.u.Package)
	case err != nil && !isExit(err) && !res.Incomplete && !res.TimedOut:
		res.Err = fmt.Sprintf("run test binary of %s: %v", r.u.Package, err)
	case err == nil && res.Verdict == "":
		res.Unfinished = r.out.track.cutOff()
	}
	if profileErr != nil && res.Err == "" {
		res.Err = profileErr.Error()
	}
}

// isExit reports whether err is the end of a process that had been started.
func isExit(err error) bool {
	_, ok := errors.AsType[*exec.ExitError](err)
	return ok
}

// tail returns the lines that `go test` writes between the output of the binary and the ok or FAIL
// line. They are those of runTestActor.Act in cmd/go.
func (r *run) tail(err error) []string {
	output := r.out.scan.any && !r.streamed
	unended := output && r.out.scan.last != '\n'
	_, exited := errors.AsType[*exec.ExitError](err)
	if err == nil || r.damaged || r.interrupted && !exited {
		if unended {
			return []string{"\n"}
		}
		return nil
	}
	var lines []string
	switch {
	case r.overdue != "": // the one who reports the run says so
	case r.quit && !canTrace:
		lines = append(lines, "*** Test killed: the goroutines of a process cannot be shown on this system.\n")
	case r.traced:
		lines = append(lines, fmt.Sprintf("*** Test killed with %v: ran too long (%v).\n", traceSignal, r.limits.kill))
	case r.killed:
		lines = append(lines, fmt.Sprintf("*** Test killed: ran too long (%v).\n", r.limits.kill))
	case r.incomplete:
		lines = append(lines, fmt.Sprintf("*** Test I/O incomplete %v after exiting.\n", r.limits.waitDelay))
	}
	ee, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case !ok || !ee.Exited() || !output:
		lines = append(lines, err.Error()+"\n")
	case unended:
		lines = append(lines, "\n")
	}
	return lines
}

// Package unit runs one test binary, or some of its tests, as `go test` would, and says how each
// test ended.
//
// The nouns, in the order you meet them: a [Unit] is what one process runs; [Run] runs it and hands
// the converted output to an [Emit] as it comes; an [Item] is a top-level test, fuzz target or
// example; a [Result] says what became of each item and of the process; the culprit is the item to
// blame when the process died in a test. [Match] and [RunPattern] are -test.run and -test.skip as
// the testing package understands them.
//
// Arguments, directory, environment, the single pipe for stdout and stderr, the null stdin, the
// retry on a busy executable, the timeouts with SIGQUIT before SIGKILL and the rules by which a
// process counts as failed are those of cmd/go (runTestActor.Act in cmd/go/internal/test, Go 1.26).
// It differs from cmd/go on purpose in these points:
//
//   - The process has a process group (on Windows a job) of its own. What is left in it when the
//     process has ended and its output has been read is killed, so that no leaked child outlives
//     its test.
//   - On Linux the process is killed when its parent dies, on Windows also what it has started.
//   - A process that exits 0 in the middle of a test is pointed out, in Result.Unfinished.
//   - A report ("--- PASS: TestX") that is still pending when the output ends becomes an event even
//     if no PASS followed.
//
// Run has two goroutines besides its caller's: one starts the process and waits for it, bound to a
// thread for as long as the process lives; one reads the output, converts it and calls Emit. Both
// have ended when Run returns.
//
// When ctx ends, the group gets SIGINT, after a grace of some seconds SIGKILL (on Windows the job
// is ended at once), and Run returns as soon as the process is reaped. An Emit that does not return
// holds Run up.
//
// The agent keeps the time. A -test-timeout is watched beside the process, by the run, pause and
// cont events. Neither a slow link nor a slow reporter counts, and what waits in t.Parallel does
// not. While events cannot be handed on nobody is blamed: the end of the test may be among them.
//
// A [Control] reaches the process while it runs. It holds the process and its clock, for a
// controller that is stopped, and asks for the stacks of the goroutines, which ends the process as
// the end of a limit does. The clock of the binary itself, -test.timeout, cannot be held.
//
// Events wait up to 10 ms for others, so that quick tests share batches. A batch in which an item
// begins waits for 1 ms at most, counted from the batch before: the item may take the process and
// its parent down, and who is left should know of it.
//
// A crash blames one test. Of several that ran it is the one in whose goroutine's trace the panic
// was. Without a trace it is the one that printed last. A panic that package testing reports by
// itself is an ordinary failure. A process that failed names the files below its package's
// directory that it made or changed and left there.
//
// Limits: a child that leaves the process group (setsid) is not found and not killed, only no
// longer listened to. What a process has printed and nobody has read goes with its parent: a test
// that kills the parent at once is not known to have begun. A grandchild survives an agent that is
// killed outright, except on Windows. On Windows a child that is started in the first instant of
// the process may escape the job.
package unit

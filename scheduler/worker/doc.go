// Package worker runs tests in an agent.
//
// [Work] is the handler that an agent offers under wire.WorkerHandler. A worker gets one
// wire.Assignment after the other and runs the units in them one at a time, each in a process of
// its own; what the tests print goes back in wire.Reports, and the result behind it. A slot is the
// worker's number on its host: tests see it, and a block of ports that no other worker there has.
//
// While the controller is suspended its processes are held, and none is started.
//
// Binaries are executed from a work directory of the worker's own, which goes when it ends.
//
// The controller numbers the workers of a host. The worker locks a block of ports beside the store
// of binaries, beginning with its number's: only there it can be seen what other runs have.
//
// # Goroutines and cancellation
//
// Work runs the units. A second goroutine receives the assignments, so that a stop reaches a unit
// that runs, and a unit has one that waits for that stop. In the worker of slot 0 one removes the
// work directories of workers that were killed. All are joined. Cancelling Work's ctx ends the
// process first. An order may have a limit, at which its process is ended as by a stop, and the
// worker goes on.
//
// # Limits
//
// Where a file system has no locks, two runs may give the same ports.
package worker

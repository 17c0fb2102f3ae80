// Package integration holds the tests that need the whole of xdist: the command as a user runs it,
// next to `go test`.
//
// A trap is one package of testdata/fixture, a module of packages that `go test` treats in a way of
// their own; a scenario is one command line that both are run with; a script is a file of
// testdata/script that drives the command. A splitting fault is a module of testdata/splitting
// whose tests get in each other's way when their package is split, when packages run beside each
// other or when a test runs again: they share a port or a variable, or their TestMain counts them.
// The default is a small part of the matrix of faults, gateways and modes; `make splitting` runs
// all of it.
//
// A chaos round is a run of testdata/faults while somebody gets signals or a connection freezes, by
// the seed: agents, test processes, the build, the controller, sshd. `make chaos` has many.
//
// internal/compare says in what two runs differ, and fidelity (a program, `make fidelity`) asks the
// same of real modules.
//
// The tests build the command once into a temporary directory and start it as a process; they start
// no goroutine that outlives them. Every run has a deadline, after which it is killed and the test
// fails.
//
// Tests named after hosts, cables, disks and controllers run over ssh on hosts in namespaces of
// their own (package netns), which have neither Go nor the sources; they need root on Linux and
// openssh-server.
//
// Limits: the faults need /proc and run on Linux only; the race detector and cgo need a C compiler
// and say so where there is none.
package integration

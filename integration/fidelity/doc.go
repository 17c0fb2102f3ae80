// Fidelity runs `go test` and xdist on pinned versions of real modules and compares the verdicts.
//
//	go run ./integration/fidelity [-only MODULE] [-xdist PATH] [-n N] [-ssh] [-tx SPEC...] [-dist MODE] [-keep]
//
// A module is fetched by the go command, copied into a temporary directory and run there twice. A
// table has one line per module. Every difference is listed with its cause, and a cause is only
// what further runs of `go test` have shown: the same verdict in one of several runs of the package
// (flakiness), or never there but when the test runs alone (order dependence), or when there is no
// go command, which the host of -ssh has not. A difference without such a cause makes the exit
// status 1; what could not be run at all makes it 2.
//
// With -ssh tests run over ssh on a host in namespaces of its own, which has neither Go nor the
// sources (package netns: Linux, root, openssh-server).
//
// The program starts no goroutine of its own; an interrupt ends the running command and then the
// program. Limits: verdicts only, no outputs; flakiness that shows less than once in the
// repetitions is not found.
package main

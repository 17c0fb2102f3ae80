// Package gotest is what is Go's: the command line of `go test`, which tests there are, and how their binaries come about.
//
// The nouns, in the order you meet them: a [Toolchain] is the go command as the module sees it; a [Command] is a parsed go
// test command line; a [Listing] is the collection, made from `go list` and the syntax trees of test files ([Discover]) without
// running any code; [Build] is one `go test -exec` in which each linked test binary is handed off ([Handoff]) instead
// of run; [Load] puts them together with the store of binaries that earlier runs have linked, and says as a stream of
// [BuildEvent] what becomes of each package.
//
// # Goroutines and cancellation
//
// Load, List and Build run the go command in a process group of its own and read its output in goroutines that are joined before they
// return. Cancelling ctx interrupts the go command, which then removes its temporary files.
//
// # Limits
//
// The rules for tests, flags and link keys are those of Go 1.24 to 1.26. What the go command itself decides (vet, build failures,
// coverage of packages without tests) is taken from its output and not made again here.
package gotest

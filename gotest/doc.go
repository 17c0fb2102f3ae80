// Package gotest is what is Go's: the command line of `go test`, which tests there are, and how
// their binaries come about.
//
// The nouns, in the order you meet them: a [Toolchain] is the go command as the module sees it; a
// [Command] is a parsed go test command line; a [Listing] is the collection, made from `go list`
// and the syntax trees of test files ([Discover]) without running any code; [Build] is one
// `go test -exec` in which each linked test binary is handed off ([Handoff]) instead of run; [Load]
// puts them together with the store of binaries that earlier runs have linked, and says as a stream
// of [BuildEvent] what becomes of each package.
//
// # Builds
//
// The go command builds and the store links. cmd/go caches compiled packages and no linked test
// binaries, so that a second go test -count=1 spends most of its time in the linker. For each
// package that was built and vetted, cmd/go starts the hand-off program in place of the test. It
// puts the binary into the store and prints one line about it. Build failures, vet and "[no test
// files]" are cmd/go's own events, passed on as they are. Coverage, fuzzing, -a, -x, -o,
// -buildvcs=true, profiles and overlays always go through the go command. Test results are not
// cached: xdist runs every test, as go test -count=1 does.
//
// A link key covers everything that goes into the link: build ids of all dependencies, flags,
// toolchain, settings, go.mod. It is looked up by what go list -export says before a build. It is
// stored by what the go command says of the build itself (-debug-actiongraph, see actions.go), so
// that a run never waits for a second listing. That account is not documented; without one a
// listing after the build gives the keys.
//
// A stale binary would be a silent green. So there is no key where something outside of the build
// ids can reach the link: C libraries, overlays, toolexec. A binary is not kept when a source,
// go.mod or the go command's configuration changed while it was built.
//
// Many tests find their data by runtime.Caller. So a binary for a mirrored tree names the mirror:
// -gcflags=<root>/...=-trimpath=<root>=><mirror>. Messages of the compiler and vet stay as they
// are.
//
// # Packages that are not split
//
// Tests may tell that they were chosen, or leave state for the tests behind them. The sources show
// it: they read os.Args, look up the flag test.run or test.skip, or call os.Chdir, os.Setenv,
// os.Unsetenv or os.Clearenv and do not restore what was there. Nor does a test know whether
// another process has the fixed address that it listens on, or what the round before it has left
// where TestMain calls Run twice; and a TestMain that fails by itself after Run may have counted
// what all tests did. Such a package is undivided.
//
// # Goroutines and cancellation
//
// Load, List and Build run the go command in a process group of its own and read its output in
// goroutines that are joined before they return. Cancelling ctx interrupts the go command, which
// then removes its temporary files.
//
// # Limits
//
// The rules for tests, flags and link keys are those of Go 1.24 to 1.26. What the go command itself
// decides (vet, build failures, coverage of packages without tests) is taken from its output and
// not made again here.
package gotest

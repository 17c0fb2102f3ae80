// Package policy decides which node runs which tests next; it is a pure state machine.
//
// A Package is a test binary that can run, with the names of its items (top-level tests, fuzz targets and examples). A node is an agent
// on a host that runs one test process at a time. A Unit is what one process runs: items of one package. The caller
// tells the Policy what happens (AddPackage, AddNode, Finish, RemoveNode) and asks, for each idle node and after each
// change, what it shall run (Next). An Outcome says which items of a unit have a verdict and which must run again.
//
// Every item is in exactly one of four places: pending, in the unit of one node, done, or withdrawn (Drop, Revoke).
// A package without items has one run of its binary to go through the same places.
//
// # How Load sizes a unit
//
// Nothing is known when a run starts. Ten tests are guessed at a second, a process at 5 ms; both guesses give way to what the run
// teaches, per package and, for packages not seen yet, over all of them. A package that was not seen gives a sample: the more nodes, the
// smaller, for one test in it may last longer than all the rest. Later units are as long as an even share of what is left, what Expect
// announced included, and at most Config.Target; they shrink towards the end, with many nodes to single tests. Three things make them longer: a unit may
// always last a twentieth of the run, which is fine enough to level out its end; a package is not cut finer than into ten units for
// each node; and a process with an expensive start must have something to do. A package that fits in the next unit
// runs whole, so that a run of many small packages on few nodes is hardly split.
//
// # Who gets what
//
// Batches that came back go first, then packages that must not be split, then more of what the node ran last, then the
// package with the most work for each node that is at it. An Alone package goes before all of these, and its host starts nothing
// else until it has run. With LoadScope the largest package is first, and what comes back of it stays on its node.
//
// # Goroutines, cancellation, time
//
// None. A Policy belongs to one goroutine; the same calls in the same order give the same answers.
//
// # Limits
//
// Durations are not remembered between runs: a long test that comes late in a package is met late. A unit that
// was given out cannot be taken back or made smaller. That parallel tests overlap inside a unit is not modelled: such units come out
// smaller than they could be.
package policy

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
// Nothing is known when a run starts. A test is guessed at 30 ms and a process at 5 ms; both guesses give way to
// what the run teaches, per package and, for packages not seen yet, over all packages. The work that is left, what Expect announced
// included, divided by twice the number of nodes is the fair size of the next unit: large while there is much to do, small at the end. It is
// raised until the overhead of a process is a small part of it and cut at Config.Target. A package that fits in it
// runs whole, so a run of many small packages is not split at all. A package nobody has seen
// yet gives a small sample first unless it is small itself, because one test in it may last longer than all the rest.
//
// # Goroutines, cancellation, time
//
// None. A Policy belongs to one goroutine; the same calls in the same order give the same answers.
//
// # Limits
//
// Durations are not remembered between runs. A unit that was given out cannot be taken back or made smaller. That parallel tests
// overlap inside a unit is not modelled: such units come out smaller than they could be.
package policy

// Package policy decides which node runs which tests next; it is a pure state machine.
//
// A Package is a test binary that can run, with its items (top-level tests, fuzz targets, examples,
// parts of tests) and what each is expected to cost. Its items are in families: those of a family
// demand the same and may share a process. A node is an agent on a host that runs one test process
// at a time. A Unit is what one process runs: items of one family. The caller tells the Policy what
// happens (AddPackage, AddNode, SetLink, Hold, Finish, Wake, Withdraw, RemoveNode) and asks, for
// each idle node and after each change, what it shall run (Next), and now and then how long the
// rest will take (Remaining). An Outcome says which items of a unit have a verdict and which must
// run again.
//
// Every item is in exactly one of four places: pending, in the unit of one node, done, or withdrawn
// (Drop, Withdraw, Revoke). Dormant items are not in the run until Wake makes them pending. A
// package without items has one run of its binary to go through the same places.
//
// # Tests in parts
//
// Divide makes parts of a test of which an earlier run told the subtests: long ones by name, and
// the rest, which runs all others, known or not. The caller makes each part an item, those with
// names of one path a family, each rest a family of its own, and the test itself a dormant item.
// When a part fails, it withdraws the parts that are pending and wakes the whole.
//
// # What things cost
//
// A known cost is corrected by how much longer or shorter the known items of its package, and of
// all, turned out to be, as far as they say something. An item of unknown cost is taken to cost the
// mean of those seen of its package and of its known neighbours; without any, ten tests are guessed
// at a second, and a process at 5 ms. A host is as fast as AddNode said, until its known items are
// off by more than chance explains. Everything is reckoned as work, which is time on a node of
// speed 1.
//
// # Who gets what
//
// Next goes down this list for a node and takes the first that it finds:
//
//   - Families of groups that are bound to the node, then families with demands: fewer nodes can
//     run them. Exclusive families and those of more weight than one need room; when no host is
//     free, the host of the node drains for one. What was isolated to be last comes after all that
//     follows.
//   - Batches that came back, as they are.
//   - What cannot be divided: packages that run whole or one unit at a time, and groups that have
//     no node yet. The largest is first, unless a single item elsewhere lasts longer.
//   - Longest processing time first (Graham 1969): the longest item of all, when it is longer than
//     a unit. It is a unit of its own. An item of unknown cost is ranked by the root mean square of
//     the durations seen in its package, so packages with long tests, and packages of which nothing
//     is known, are tried early, one unit of each before a second.
//   - Guided self-scheduling (Polychronopoulos and Kuck 1987): a unit that shrinks with what is
//     left, of the family that the node ran last, whose binary is there, or else of the one with
//     the most work.
//
// A node that is slower than others leaves an item to them that it would end after all else has
// ended. How sure of the end it must be depends on how far off the known costs were so far; before
// anything was seen they are taken to be off by a factor of two. The fastest nodes take everything.
//
// # Binaries that have to be sent
//
// A binary is sent to a Store once and serves all nodes there; nodes without a Store have all of
// them. How long that takes follows from Package.Size, from SetLink and from what is on its way to
// the same store. A store has what its nodes were given units of, and what Hold says. Where that is
// known, a node looks at a bounded number of families that demand nothing: those with the longest
// items, with the most work, and of those that its store has. What its binary takes to come counts
// against a family, unless nobody has it: then it must be sent to somebody, the sooner the better,
// while the link is idle. What comes in a sixteenth of what each node has to do makes no
// difference.
//
// This is delay scheduling for the sake of data locality (Zaharia and others 2010), where times are
// reckoned instead of refusals counted. The replicas of a package are the stores that have its
// binary, or get it. A node leaves a family to others, or runs nothing, when its store lacks the
// binary and
//
//   - the replicas would be through with all that they have before it were there, or little later;
//   - or nodes to which nothing has to be sent, or which have a link at least twice as good, would
//     do all there is by then.
//
// While nothing is in flight it does so only if one of these is among the fastest, who take
// everything.
//
// # How large a unit is
//
// A unit of known items is a part of an even share of what is left, what Expect announced included,
// at most Config.Target, and thus shrinks towards the end. Three things make it longer: a hundredth
// of the run is fine enough to level out the end; a process with an expensive start must have
// something to do; and a family that fits in one and a half units runs whole. A binary that has to
// be sent does not make it longer: it serves all nodes there. Inside a family the longest go first,
// so that the shortest are left for the end.
//
// Where costs are not known a unit is a number of items. A package that was not seen gives a small
// sample; later units are sized by its mean, and so that long tests do not meet in one unit: all of
// them long, they may last a tenth of what a node has to do. The items of a unit come from all over
// the package, for neighbours are often alike.
//
// With LoadScope a package is one unit, the largest first, and what comes back of it stays on its
// node. With WorkSteal a node owns a contiguous part of the collection, runs it from the front in
// units sized as above, and takes half of the largest rest, from its tail, when it has none. Only
// what demands nothing and may be divided is shared out so; the rest goes as above.
//
// # Goroutines, cancellation, time
//
// None. A Policy belongs to one goroutine; the same calls in the same order give the same answers.
// Next costs some heap operations and a look at each different demand there is, but not at each
// package or node: 1 to 3 µs a test in a run of a million tests on 1,000 nodes, and up to 9 µs with
// 100,000 tests whose binaries have to be sent to 250 hosts. A caller with many idle nodes spares
// itself most questions by the Stamp.
//
// # Limits
//
// A unit that was given out cannot be taken back or made smaller, and no test runs twice to be done
// sooner: a long test that nothing foretold and that starts late ends late. There is no clock: what
// is in flight counts for half of what it was expected to cost. A slow node that gets a long test
// because its cost was underrated makes the run longer; with costs off by a factor of three that is
// 1.7 of the bound in the worst seen. That parallel tests overlap inside a unit is not modelled:
// such units come out smaller than they could be. How far a binary has come is not known either:
// until it is there it counts as at the beginning of its way, and a node waits for it with its
// unit. Families with demands, and everything with WorkSteal, go wherever they can run, however
// long their binaries take. Two groups in one package that cannot be divided become one; when they
// were bound to two nodes before, later items run on one of them. Resources are taken by whoever
// asks first, so that one that needs much of a resource may wait long for it. Items in doubt wait
// for all others of their package, those too that are Unservable, and so do retries.
package policy

// Package scheduler runs a suite on nodes and accounts for every test.
//
// The nouns, in the order you meet them: a [Source] says what there is to run and makes it runnable; a node is the
// controller's record of one worker, a supply what the Source gives for one platform, a target the nodes that share a policy; a unit
// is what one test process runs, and a job is a unit on a node; an item is a top-level test, fuzz target or example, and gets exactly one [event.Verdict]: those of one name, in
// a package and its external test package, are one item; the ledger holds the verdicts; an [event.Event] is one step of the run and goes to the [event.Reporter]; the [event.Summary] is the account at the end.
//
// # The two roles
//
// [Run] is the controller: one loop, in the caller's goroutine, owns all state of the run. [worker.Work] is the worker, the handler
// that an agent offers under [wire.WorkerHandler]: it runs one unit after the other and streams what they print. What they say to each
// other is in package wire. What runs where is decided by package policy, which has no clock and does no I/O.
//
// # Other hosts
//
// Hosts that do not share the controller's files get them before their first unit: package hosts has the tree sent by package rsync, once per host,
// and the binaries as they are needed. [hosts.DescribeHost] and [hosts.CleanHost] are what else an agent offers; [hosts.Examine] and [hosts.Clean] ask for it.
// With build=remote a [hostbuild.Builder] in the agent stands for the Source: package hostbuild has its two sides.
//
// # Nodes that come and go
//
// A spec with listen= lets agents join the run at any time, as joiners.go says. Config.MinNodes and Config.NodesWait say what the run waits for.
//
// # Replays
//
// With Config.Replay the units of an earlier run are given out, in their order, instead of what the policy chooses: replay.go.
//
// # Goroutines and cancellation
//
// Run starts one goroutine for the Source, or the remote build, of each platform, one for each listener and one for each node, which has a second one to send; all are joined before
// it returns. Cancelling Run's ctx interrupts the run: units are told to end, and what they do not say within
// Config.TerminateTimeout is lost and booked as not run.
//
// # Limits
//
// What earlier runs took is not remembered. A unit that was given out is not taken back. Code that needs cgo is not built for other
// platforms, except by their hosts. Only what lies in the directory of the module or workspace is brought to hosts.
package scheduler

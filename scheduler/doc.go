// Package scheduler runs a suite on nodes and accounts for every test.
//
// The nouns, in the order you meet them: a [Source] says what there is to run and makes it
// runnable. A node is the controller's record of one worker. A supply is what the Source gives for
// one platform. A pool is the nodes that share a policy. A unit is what one test process runs,
// and a job is a unit on a node. An item is a top-level test, fuzz target or example, and gets
// exactly one [event.Verdict]; those of one name, in a package and its external test package, are
// one item. A trial is an item whose verdict is open after an attempt. The ledger holds the
// verdicts. An [event.Event] is one step of the run and goes to the [event.Reporter]. The
// [event.Summary] is the account at the end.
//
// # The two roles
//
// [Run] is the controller: one loop, in the caller's goroutine, owns all state of the run. Others
// post messages to it. It calls the reporters, so that a slow terminal is back-pressure and not a
// queue. [worker.Work] is the worker, the handler that an agent offers under [wire.WorkerHandler]:
// it runs one unit after the other and streams what they print. What they say to each other is in
// package wire. Package policy decides what runs where; it has no clock and does no I/O.
//
// # What counts
//
// What a process says of a test is a verdict only where nothing is left to doubt. Package attempt
// decides that, by a table; trial.go gives it what was seen and makes the next attempt. The files:
//
//	assign.go    a node gets a unit
//	results.go   what comes of it while it runs
//	testimony.go what a worker says is compared with what it was asked and has said
//	budget.go    how much of it is kept of a unit
//	account.go   how much is kept of all of them
//	profiles.go  how much is kept of cover profiles
//	conclude.go  the end of a process
//	overdue.go   the end of one that does not end a process in time
//	down.go      the end of an agent
//	heal.go      a binary that is damaged
//	trial.go     an attempt becomes a verdict, or the test goes on trial
//	probe.go     whether a package is worth splitting
//	crowd.go     what ran beside an attempt on its host
//	closing.go   the lines that end a package
//	stop.go      the end of a run before its time
//	coverage.go  -coverprofile, and the idle runs that it needs
//
// A package begins in a stage. It runs whole when it takes a second in all, when its sources show
// that its tests could tell that they were chosen, when a flag asks for it (-bench, -fuzz,
// profiles, -shuffle, -failfast, -p 1), with one gateway, with --dist loadscope, and when an
// earlier run saw a test fail in a part and not in the whole. A package that nobody knows is
// probed: its parts run, and what they show is held until it is known to be quick or not. A quick
// one is then shown by a run of the whole.
//
// A package that was split may run whole all the same: for a test on trial, for a process that
// failed though no test of it did, and for a test that is owed the whole. What the whole shows of
// items that have their verdicts replaces them, as go test would show it. That happens at most
// [mostWholes] times for want of a verdict.
//
// A hang is doubted, too. Where a package is split, a test whose duration is known may take ten
// times that long, and 5 s at least, while other processes of its package run. Then its process is
// ended and the test is on trial. The attempt with nothing of the package beside it has the time
// that go test would give it. A test of which nothing is known may take all of -timeout there; it
// is on trial then, too, and has a tenth of that the next time, and 30 s at least: where it hangs
// by itself the run takes little longer than go test.
//
// A unit that fails before its first test, while another process of its package runs, is no
// verdict. The package runs one process at a time from then on, and the unit again.
//
// # Tests in parts
//
// A test that is known to last longer than the plan has use for is divided (division.go): its long
// subtests and the rest are items of the policy. The processes tell them apart by -test.run and
// -test.skip, which are complements, so that a subtest that nobody knew runs exactly once. The
// account has the test alone. The events of the parts are held, compressed, and are shown as one
// test when all have passed. A part that fails runs once more when the others of its package have
// ended. If it fails again, none of them counts and the test runs whole. A test whose whole does
// otherwise than its parts is not divided again until its package changes.
//
// # Running again
//
// A failure that --reruns follows up (rerun.go) is shown as an attempt of its own. Then the test
// runs again at the end of its package, with nothing of it beside it. A test that passes then is
// flaky, a verdict of its own. When the run stops before, the failure counts. A crash runs again
// only when asked; a test out of --test-timeout runs again as a failure does.
//
// # Coverage
//
// The profiles of the processes of a package are merged when it is closed (coverage.go). With
// -coverprofile in the modes count and atomic, a package that was split has an idle run after that:
// its binary once more, with no test, for what each of its processes has counted besides tests. It
// is a unit of the policy's, after all others of the package, of which no event tells. It has the
// time that the shortest process of the package took, and 5 s at least. Without a profile from it
// the counts are sums, which a warning says. A replay has no idle runs.
//
// # Platforms and hosts
//
// Each platform that the gateways have between them has a collection, a build and an account of its
// own (platform.go). A popen gateway's platform is in its spec. Any other's is known when the agent
// answers, and a platform that comes late is built for when it comes. Without build=remote all is
// cross-compiled on the controller without cgo. A second go list with cgo on finds what that
// leaves out, which is reported as not run.
//
// Hosts that do not share the controller's files get them before their first unit: package hosts
// has the tree sent by package rsync, once per host, and the binaries as they are needed.
// [hosts.DescribeHost] and [hosts.CleanHost] are what else an agent offers; [hosts.Examine] and
// [hosts.Clean] ask for it. With build=remote a [hostbuild.Builder] in the agent stands for the
// Source: package hostbuild has its two sides. The controller numbers the nodes of a host
// (slots.go); hosts are told apart by the token of their mirror.
//
// # Nodes that come and go
//
// A spec with listen= is a door and no gateway (joiners.go). A listener posts each agent that has
// joined to the loop, which makes a node of it. Its loss ends no run, and it is not replaced: who
// started it is not here. While a door is open and tests have no node, the run waits for
// Config.NodesWait. The same clock runs until Config.MinNodes are there.
//
// Other nodes that die are replaced, eight times per gateway if not told otherwise. When the host
// of a replacement cannot be reached, it is tried once more after a back-off. So is a host that
// takes the connection of a first gateway and falls silent, or lets go of it, before that is open;
// the second time ends the run. A host that has fallen silent says nothing about its tests: they
// run elsewhere, and the second host that is lost over a test blames it.
//
// An agent that dies takes its process along. The test that began last is suspected and runs alone;
// it is blamed if it takes that agent down, too. The others run again.
//
// # Agents that lie
//
// An agent is not trusted. What no worker says ends its node with the reason, and its unit as that
// of a lost agent (testimony.go): a report without a unit or before the order, a second result, the
// end of a test that never began, another package, numbers out of range, a profile that nobody can
// read. Each unit has a budget for what it can make the controller keep (budget.go). Of output that
// is held the middle is left out first. What is shown as it comes is not kept and has no budget.
// All units together have one account (account.go): when it is full the longest transcripts get
// shorter, and who has them is not ended for that. The profiles of all packages have another
// (profiles.go).
// The loop never waits for a node: what it has for one lies in a place that cannot be full
// (orders.go). An interrupt comes before reports.
//
// # Replays
//
// With Config.Replay the units of an earlier run are given out, in their order, instead of what the
// policy chooses (replay.go). policy.Take keeps the books as for Next, so that the account is that
// of any run. An item that is in a later unit too goes back to pending, with the worst verdict so
// far. A failure counts at once.
//
// # Somebody watches
//
// Config.Requests brings what keys and signals ask for (request.go). What runs is told by an event.
// A run that is quit has its processes show their goroutines and die of that, so that their tests
// fail, and ends. While it is suspended the loop waits, agents hold processes and leases, and
// afterwards the clocks of the loop leave that time out. What ran then and fails runs again, also
// where a failure counts at once: its own deadlines, and that of -timeout, went on.
//
// # Goroutines and cancellation
//
// Run starts one goroutine for the Source, or the remote build, of each platform, one for each
// listener and one for each node, which has a second one to send. All are joined before it returns.
// Cancelling Run's ctx interrupts the run: units are told to end, and what they do not say within
// Config.TerminateTimeout is lost and booked as not run. Files come back from hosts for that long
// then. An interrupt that comes when the loop has ended ends what it would wait for. A host that is
// there and gives no answer is given up after five minutes.
//
// # Limits
//
// A process that has not ended five minutes after -timeout is given up with its node: its worker
// does not do its duty. With -timeout=0, and for benchmarks and fuzzing, the user alone ends one. A
// test can print what looks like another test's end, so that is ignored and is not taken for a lie.
// A unit that was given out is not taken back. Code that needs cgo is not built for other
// platforms, except by their hosts. Only what lies in the directory of the module or workspace is
// brought to hosts. A test that passes for want of tests in other processes is found out only in
// packages that run whole, and where a run has seen it fail. A test that kills its agent within a
// millisecond or two of its start may die unknown. Then the test before it is suspected, or nobody
// is, and what was left of the unit runs in smaller ones until the test is found. That takes more
// attempts and comes to the same verdict.
package scheduler

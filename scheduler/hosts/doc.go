// Package hosts is what lies on the machines of a run: trees, binaries, locks, and what stays
// behind.
//
// The nouns, in the order you meet them: a [Set] is the machines of one run; a [Host] is one of
// them as one of its users has it, known by its token, which all agents share that share its
// mirror; a [Mirror] says where the tree goes; a place is a name for the directory that it is in;
// [Set.Place] puts a unit into a host's terms, with its binary brought there. An agent's side is
// [DescribeHost] and [CleanHost]; [Examine] and [Clean] ask them; [Hold] keeps Clean away while a
// run uses the host; a [WorkDir] is where a worker executes binaries from.
//
// # Trees and binaries
//
// When one gateway does not share the controller's files, all of a run work in a mirror, so that
// one build serves a platform. The mirror's path is compiled in, and the same on all hosts but
// those where another user has the place. A place is a hash of a secret of the controller, the
// module, the accounts in the specs and a number. A lock on the controller keeps it for one run, so
// that no two runs share one. A host where the place is another user's, be it a stranger or another
// account of the run, has its mirror in the next one. [Mirror.Build] makes the binaries for that,
// each when a unit of its package first goes there. The first gateway of a host has the tree sent,
// together with the hosts that are ready at about the same time. The tree stays locked until the
// run is over. A binary goes to a host when a unit is the first to need it. A host that cannot be
// given what a unit needs says nothing about the unit, which goes elsewhere. Files are brought back
// before the workers are let go, because a gateway ends with its worker.
//
// # Work directories
//
// A worker does not execute a binary where it is kept, here or on a host. What a test writes beside
// its executable would stay in the store. Programs that ask whether `go test` runs them look for a
// directory go-build… below the one for temporary files. So each worker has such a directory, with
// hard links to the binaries that it has run. Where no link can be made the binary is copied; a
// symbolic link would not do, since a process is told where it leads. Where nothing can be executed
// or written, binaries run from the store, and the run warns of it. The directory goes with its
// worker. When that is killed its lock becomes free. Then the directory is removed by the next
// worker of slot 0, by Clean, or, on this machine, at the end of the run.
//
// # Leftovers
//
// clean.go has the list of every place and form of what a host may have; whoever adds one adds it
// there. A worker holds a share in a lock beside the store of binaries, and a sync the lock of its
// mirror. Who cleans wants all of them for itself. The last worker that leaves a host wants those
// of the binaries, to remove what was used least recently (prune.go).
//
// # Goroutines and cancellation
//
// The nodes' goroutines call a Set concurrently, and wait there for a tree or a binary; their ctx
// ends the wait. A Set starts one goroutine for each reading of the tree, which outlives the
// gateway that asked first; [Set.Wait] joins them when all gateways have ended. What a Set finds
// out it posts to the loop as [BinaryFound] and [BinariesListed].
//
// # Limits
//
// A host with build=remote whose place is not that of the host which has built gets no units: the
// binaries name another mirror.
//
// Only what lies in the directory of the module or workspace is brought to hosts. Where a file
// system has no locks, nothing keeps Clean from a host that is in use, and the work directory of a
// killed worker stays for a day. Work directories are looked for where the agent that looks would
// make its own: not in the TMPDIR of another spec.
package hosts

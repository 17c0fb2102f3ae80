// Package hosts is what lies on the machines of a run: trees, binaries, locks, and what stays
// behind.
//
// The nouns, in the order you meet them: a [Set] is the machines of one run; a [Host] is one of
// them, known by its token, which all agents share that share its directory of mirrors; a [Mirror]
// says where the tree goes; [Set.Place] puts a unit into a host's terms, with its binary brought
// there. An agent's side is [DescribeHost] and [CleanHost]; [Examine] and [Clean] ask them; [Hold]
// keeps Clean away while a run uses the host.
//
// # Trees and binaries
//
// When one gateway does not share the controller's files, all of a run work in a mirror, so that
// one build serves a platform. The mirror's path is compiled in and the same on all hosts. It holds
// a hash of the controller and the module, and a number that a lock on the controller gives each
// run, so that no two runs share one. The first gateway of a host has the tree sent, together with
// the hosts that are ready at about the same time. The tree stays locked until the run is over. A
// binary goes to a host when a unit is the first to need it. A host that cannot be given what a
// unit needs says nothing about the unit, which goes elsewhere. Files are brought back before the
// workers are let go, because a gateway ends with its worker.
//
// # Leftovers
//
// clean.go has the list of every place and form of what a host may have; whoever adds one adds it
// there. A worker holds a share in a lock beside the store of binaries, and a sync the lock of its
// mirror. Who cleans wants all of them for itself.
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
// Only what lies in the directory of the module or workspace is brought to hosts. Where a file
// system has no locks, nothing keeps Clean from a host that is in use.
package hosts

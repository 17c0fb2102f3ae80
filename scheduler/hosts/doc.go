// Package hosts is what lies on the machines of a run: trees, binaries, locks, and what stays behind.
//
// The nouns, in the order you meet them: a [Set] is the machines of one run; a [Host] is one of them,
// known by its token, which all agents share that share its directory of mirrors; a [Mirror] says
// where the tree goes; [Set.Place] puts a unit into a host's terms, with its binary brought there. An
// agent's side is [DescribeHost] and [CleanHost]; [Examine] and [Clean] ask them; [Hold] keeps Clean
// away while a run uses the host.
//
// # Goroutines and cancellation
//
// The nodes' goroutines call a Set concurrently, and wait there for a tree or a binary; their ctx ends
// the wait. A Set starts one goroutine for each reading of the tree, which outlives the gateway that
// asked first; [Set.Wait] joins them when all gateways have ended. What a Set finds out it posts to
// the loop as [BinaryFound] and [BinariesListed].
//
// # Limits
//
// Only what lies in the directory of the module or workspace is brought to hosts. Where a file system
// has no locks, nothing keeps Clean from a host that is in use.
package hosts

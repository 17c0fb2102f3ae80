// Package hostbuild is both sides of build=remote: a host builds the test binaries for itself, with
// the Go that is there, and the controller takes in what comes of it.
//
// The nouns, in the order you meet them. In the agent, a [Builder] answers wire.BuildHandler: it does
// in the mirror of the tree what the controller's go command would have done. In the controller, a
// [Remote] is a worker's connection whose host can build; a [Link] is the connection to one build that
// takes place there; a [Build] takes in what the hosts of one platform report, from one host after the
// other when gateways are lost ([LostError]).
//
// # Goroutines and cancellation
//
// A Build starts none: its owner's goroutine calls it, and ctx ends the wait for a host. In the agent
// gotest.Load has its own and joins them. A build's coverage data stay on the host until the
// controller closes the Link.
//
// # Limits
//
// A host that has not built gets the binaries over the controller. The tree must be there before the
// build begins.
package hostbuild

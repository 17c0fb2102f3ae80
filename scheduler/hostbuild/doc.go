// Package hostbuild is both sides of build=remote: a host builds the test binaries for itself, with
// the Go that is there, and the controller takes in what comes of it.
//
// The nouns, in the order you meet them. In the agent, a [Builder] answers wire.BuildHandler: it
// does in the mirror of the tree what the controller's go command would have done. In the
// controller, a [Remote] is a worker's connection whose host can build; a [Link] is the connection
// to one build that takes place there; a [Build] takes in what the hosts of one platform report,
// from one host after the other when gateways are lost ([LostError]).
//
// # Who builds
//
// The Builder calls gotest.Load with the paths of the command moved into the mirror. What Load
// tells comes back over the handler's channel, so that all behind it is as for a build of the
// controller. The agent's own executable is the hand-off program, and the binaries end up among the
// host's blobs as if they had been sent. All packages of such a platform are built there, not only
// those that need cgo: one platform has one toolchain, and the verdicts are those of go test on
// that host.
//
// The first host that is ready builds. When its gateway is lost another follows, and what has come
// by then stays. When no host can build at all, the controller makes the collection itself, so that
// what is not run is listed.
//
// # Goroutines and cancellation
//
// A Build starts none: its owner's goroutine calls it, and ctx ends the wait for a host. In the
// agent gotest.Load has its own and joins them. A build's coverage data stay on the host until the
// controller closes the Link.
//
// # Limits
//
// A host that has not built gets the binaries over the controller: a second build would have to be
// compared with the first one's collection, and costs more. The tree must be there before the build
// begins.
package hostbuild

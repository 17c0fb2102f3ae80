// Package network is the process of a deployment network: hosts that have a name together, and
// gateways to them that are kept open, for programs that come and go.
//
// [Run] is the process. It listens at a Unix socket of its user's, or a named pipe on Windows (see
// package internal/netsock), and keeps a gateway to each host: a host that is lost is reached
// again, first after a quarter of a second and then less and less often, and its agent is started
// anew. What the process and those agents do for others is to start a program and to pass its bytes
// on, by [gateway.NetworkServer]. Programs use it by gateway.Connect and by net= in specs; the
// agents of their gateways are themselves, of whatever version.
//
//	user ── Unix socket ── process of the network ══ gateway, kept ══ relay on the host ── user's agent
//
// # Goroutines and cancellation
//
// Run has one for each host, one that looks after the socket, and those of the server; all have
// ended when it returns, and so have the relays and what users have started. It ends with its
// context, or when a user stops the network.
//
// # Limits
//
// A network has at most 256 hosts. What a user has started ends with the gateway to its host:
// nothing is taken over by the next one. Hosts that were added to a network that runs are forgotten
// when its process ends. Nobody can be asked for a password: keys have to do.
package network

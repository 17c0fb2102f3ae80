// Package gateway runs named functions in other processes, its agents, and talks to them over
// channels.
//
// A Group holds gateways, gives them ids and owns their end. Group.Open starts an agent as a
// specification says and returns the Gateway, the live connection to it. Gateway.RemoteExec runs
// one of the agent's Handlers, by its name, and returns a Channel: a bidirectional stream of Items,
// which are CBOR values. A MultiChannel treats the channels to many agents as one. A Ref hands a
// channel to the other side, inside an item. On the agent's side the program calls Main, or Serve
// on a connection of its own. PROTOCOL.md describes what goes over the wire.
//
//	gateway.Main(handlers)                       // first of all: agents are this program, and serve here
//	g := gateway.NewGroup(gateway.Config{})
//	defer g.Close()
//	gw, err := g.Open(ctx, "popen")
//	ch, err := gw.RemoteExec(ctx, "add", []int{1, 2})
//	err = ch.Receive(ctx, &sum)
//
// # Calls
//
// Func registers a typed function, and Call, Go and CallEach call it: over one channel of each
// gateway that all calls share, many at once. Stream and Range do the same for functions that yield
// many results. Errors keep their kind across the wire, see RemoteError. Export makes a value of an
// agent an Object, which is used from the controller as long as it lives.
//
//	var add = gateway.Func("add", func(ctx context.Context, in [2]int) (int, error) { return in[0] + in[1], nil })
//
//	sum, err := add.Call(ctx, gw, [2]int{3, 4})
//	sum, err = gateway.Call[int](ctx, gw, "add", [2]int{3, 4})
//	f := add.Go(ctx, gw, [2]int{3, 4})          // f.Wait(ctx)
//	for gw, r := range gateway.CallEach[int](ctx, g, "add", [2]int{3, 4}) { … }
//
// # The host of an agent
//
// Gateway.FS reads the host's files and Gateway.WriteFile writes one, Gateway.Command runs programs
// there, Gateway.Dial connects from there, and Gateway.Listen listens there. Package rsync sends
// whole trees and brings them back.
//
// # Sources
//
// RunSource compiles a Go source for a gateway's host, and RunPackage a package; RunScript runs a
// source there in Python, a shell or Node. Each returns the channel to what runs.
//
//	ch, err := gw.RunSource(ctx, text, args)     // whose func Remote(ctx, ch) runs there
//	ch, err = gw.RunScript(ctx, "python3", "import os; channel.send(os.getpid())", nil)
//
// RunSource needs the go command on this side alone. It is a method all the same, which agents
// have, too: it makes 0.2 MB of the 10 that a program has.
//
// # Agents that connect
//
// Group.Listen returns a Listener, to which the agents of a Joiner connect by themselves; its
// Accept returns their gateways.
//
// A gateway can be opened through another one: via=ID in its spec means the host of the agent of
// gateway ID, wherever that is. What goes through a gateway is lost with it.
//
// A transport reaches hosts through an origin and not by itself. The origin dials and starts
// processes, on this host or on that of the gateway of via=, and the transport does not know which.
// On another host handlers that every agent has hold the connection or the process. Its bytes are
// items of a channel, with a channel's back-pressure. Orders, standard error and the exit status go
// over the handler's own channel and never wait behind data. A hop costs about 60 µs for a round
// trip. Open waits for the gateway that a spec goes through; Terminate ends it last.
//
// # Networks
//
// A deployment network is hosts to which a process of the user's keeps gateways, see package
// network. Connect finds one by its name, and Network.Open opens a gateway on one of its hosts, as
// does "net=NAME" in a spec. The network's process starts a shell there over the gateway that it
// has, and passes bytes on; what the shell becomes is this program. So nobody has to log in. When
// the program is in the host's cache, its hello is under way before the shell has started, and the
// opening takes one round trip. A gateway through a network ends with the process that has opened
// it, with the network's process, and with that one's gateway to the host.
//
//	net, err := gateway.Connect(ctx, "mynet", gateway.Config{Agent: agents.Self()})
//	gw, err := net.Open(ctx, gateway.On("linux", "arm64"))
//
// # Goroutines
//
// A group has none. A listener has one, and one for each connection that is not a gateway yet;
// Close and Terminate join them. A gateway has a few of its own, up to three for each open channel,
// and up to 16 that wait for work; all of them end after Exit or Terminate, or when the agent ends,
// and Done tells when they have. A callback runs in a goroutine of its channel. An agent has the
// same for its side, and one for each handler and each call that runs. A Command and a Future have
// their own. A Go source has a gateway of its own, which ends with its channel.
//
// # Cancellation
//
// Each call that blocks takes a context first, prefers what has arrived to the context's end, and
// wakes at the latest one second after its gateway is lost. A context bounds only its call: the
// life of a gateway ends with Exit or Terminate, that of a channel with its handler's return or
// Close. A handler's context ends when its controller closes the channel, says goodbye or is gone.
// Each end gives the other up after 15 to 19 seconds of silence. An agent whose connection stays
// open although its controller has died, is stopped or cannot be reached ends when its lease runs
// out; the controller gives up an agent in the same way.
//
// # Memory
//
// Of what a peer sends, a channel keeps no more than one window (Config.OwnWindow), a queue of 1
// MiB, and what has come with the last item of it, 32 KiB or that item; then the peer's Send
// blocks. A slow receiver delays no other channel. Limits are checked before memory is taken for
// what they limit, and a peer that breaks the protocol loses its connection. Channel.Recycle lets
// large items use memory again, which the garbage collector may still take.
//
// # Other hosts
//
// A host needs an account with a POSIX shell at hand, and nothing else: ssh= and cmd= make the
// shell become the agent, which Config.Agent gives for the host's platform; the time that this
// takes does not count against Config.OpenTimeout. Without it, as in Open and Connect when they are
// given no Config, hosts have to be of this program's own platform. The agent is kept under its
// digest in the user's cache directory, or, where that cannot be, in one of the user's own in
// /var/tmp, /tmp or /dev/shm, and is sent once for each version. Gateways to one destination share
// ssh connections, eight on each, or as many as the host allows.
//
// ssh -G tells the configuration of a host, where OpenSSH is installed: with Match, Include and
// canonical names, from the files of the account or the one that ssh_config= names in the spec. It
// has 30 s, and is asked once for each destination and jump host. Without OpenSSH the same files
// are read here; lines that only ssh can decide, such as Match exec, are passed over with a
// warning. A ProxyCommand runs where the connection would begin, and ends with it.
//
// Host keys are looked up in the files of known hosts as ssh does it. StrictHostKeyChecking
// accept-new and no let a host pass that is not known: its key is added to the first of the user's
// files, and Config.Logger is warned. Keys that others may read are not offered, and without ssh a
// configuration that others may write is refused, as ssh does. Not as in ssh, a changed host key is
// always refused, and a ServerAliveInterval of 0 in a file stands for 5 s. Package
// internal/sshclient lists the keywords that count. Ciphers, KexAlgorithms, MACs and
// HostKeyAlgorithms are not among them.
//
// # Sockets
//
// The agents of a SocketServer, and those of a Joiner, are the client's program, or the listening
// controller's: Config.Agent gives it for the host's platform, as for ssh, and it is sent where it
// is not. It is kept under its digest with what comes by ssh, within a bound. So both sides need
// not have the same version. With Command set, and with installvia, they are the server's own
// program.
//
// A SocketServer speaks frames of its own, although a session with one handler that starts the
// agent could carry the same. That was tried. It costs 8 µs more for a round trip and moves bulk at
// the same rate. The frames stay for other reasons:
//
//   - A session's end drops what is on its way. A server that ends has to tell first how each agent
//     has ended, and a joiner that it leaves of its own accord. With a session the controller
//     learned neither, and 0.9 s later.
//   - An agent whose controller is gone gets the Grace that was asked for, and an interrupt before
//     it is killed. A relayed process gets a second.
//   - The session's handshake skips noise. On a port without a key a web page could hide a hello in
//     a request.
//
// # Limits
//
// What an agent has started dies with it as far as the system can tell whose it is: on Linux all of
// its session, on Windows its job, elsewhere its process group and what its handlers end
// themselves. A program, or a script, that was started through a gateway and takes no notice of the
// end of its input survives when that gateway's agent is killed by somebody else; agents and Go
// sources take notice. A controller that is stopped for longer than the lease loses its agents,
// unless it has told them before (Group.Suspend). Even that one is given up by a server: that of a
// socket when its buffers are full, after hours, and an sshd with a ClientAliveInterval when it was
// not answered ClientAliveCountMax times, three by default. The end of a channel is read in order,
// after the items before it: a handler that never receives does not notice that its channel was
// closed behind more than a window of items. On Windows the protocol stays on inherited handles
// that block.
package gateway

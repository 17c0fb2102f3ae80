package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/xdist-go/xdist/gateway/keyed"
	"github.com/xdist-go/xdist/xspec"
)

// originOf is where the transport of a spec starts from.
func (g *Group) originOf(spec xspec.Spec) (origin, error) {
	if spec.InstallVia == "" {
		return g.origin(spec.Via)
	}
	in, ok := g.Lookup(spec.InstallVia)
	if !ok {
		return nil, fmt.Errorf("install a server via gateway %q: there is no such gateway", spec.InstallVia)
	}
	from, host, err := g.placeOf(in.spec)
	if err != nil {
		return nil, fmt.Errorf("install a server via gateway %q: %w", in.ID(), err)
	}
	return installOrigin{origin: from, installer: in, host: host}, nil
}

// placeOf returns the host of a gateway with this spec, and from where it can be reached under that
// name. An empty host is not known.
func (g *Group) placeOf(spec xspec.Spec) (from origin, host string, err error) {
	switch {
	case spec.InstallVia != "" && spec.Socket == "":
		in, ok := g.Lookup(spec.InstallVia)
		if !ok {
			return nil, "", fmt.Errorf("gateway %q, which it was installed via, has ended", spec.InstallVia)
		}
		return g.placeOf(in.spec)
	case spec.InstallVia != "":
		from, err := g.originOf(spec)
		if err != nil {
			return nil, "", err
		}
		return from.(installOrigin).origin, hostPart(spec.Socket), nil
	}
	from, err = g.origin(spec.Via)
	switch {
	case spec.Popen:
		host = "127.0.0.1"
	case spec.SSH != "":
		host = hostOfSSH(spec.SSH)
	case spec.Socket != "":
		host = hostPart(spec.Socket)
	}
	return from, host, err
}

// hostOfSSH returns the host in ssh's options and destination, which is the last word.
func hostOfSSH(text string) string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return ""
	}
	destination := strings.TrimPrefix(words[len(words)-1], "ssh://")
	return hostPart(destination[strings.LastIndexByte(destination, '@')+1:])
}

// hostPart returns the host of HOST, HOST:PORT, [HOST] or [HOST]:PORT.
func hostPart(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return strings.Trim(addr, "[]")
}

// installOrigin is a host from which servers are reached that were started there by a gateway's
// agent.
type installOrigin struct {
	origin
	installer *Gateway
	host      string // under which the installer's host is reached; empty if that is not known
}

// installedServers are the servers that were started through one gateway. They end with it.
type installedServers struct {
	turnc  chan struct{}              // holds one token, which guards byAddr; never closed
	byAddr map[string]installedServer // by the address to listen on
}

func newInstalledServers() *installedServers {
	in := &installedServers{turnc: make(chan struct{}, 1), byAddr: make(map[string]installedServer)}
	in.turnc <- struct{}{}
	return in
}

// installedServer listens as long as its channel lives.
type installedServer struct {
	key  keyed.Key
	port int
	ch   *Channel
}

// dialInstalled connects to the server that spec asks for, and starts it when it is not there.
func (o installOrigin) dialInstalled(ctx context.Context, spec xspec.Spec, cfg Config) (*endpoint, error) {
	host := o.host
	if spec.Socket != "" {
		host = hostPart(spec.Socket)
	}
	fail := func(phase Phase, err error) (*endpoint, error) {
		return nil, &PhaseError{Phase: phase, Host: host, Err: fmt.Errorf("install a server via gateway %q: %w", o.installer.ID(), err)}
	}
	if spec.Key != "" {
		return fail(PhaseAuth, errors.New("it gets a key of its own: leave key= out"))
	}
	if host == "" {
		return fail(PhaseResolve, errors.New("how to reach its host is not known: write socket=HOST//installvia=ID"))
	}
	server, err := o.installer.installed.get(ctx, o.installer, listenAddress(host, spec.Socket))
	if err != nil {
		return fail(PhaseStart, err)
	}
	lap(ctx, PhaseProbe)
	d := socketDial{host: host, key: server.key, env: spec.Env}
	return d.connect(ctx, o.origin, net.JoinHostPort(host, strconv.Itoa(server.port)), cfg)
}

// listenAddress is where a server listens that is reached as host. A name may mean another address
// there than here, so that only an address is listened on alone; the key protects all of them.
func listenAddress(host, socket string) string {
	_, port, err := net.SplitHostPort(socket)
	if err != nil {
		port = "0"
	}
	switch {
	case host == "localhost":
		host = "127.0.0.1"
	case net.ParseIP(host) == nil:
		host = ""
	}
	return net.JoinHostPort(host, port)
}

// get returns the server on this address, and has the gateway's agent start it if there is none
// that lives.
func (in *installedServers) get(ctx context.Context, gw *Gateway, addr string) (installedServer, error) {
	select {
	case <-in.turnc:
	case <-ctx.Done():
		return installedServer{}, ctx.Err()
	}
	defer func() { in.turnc <- struct{}{} }()
	if server, ok := in.byAddr[addr]; ok && server.alive() {
		return server, nil
	}
	server, err := install(ctx, gw, addr)
	if err == nil {
		in.byAddr[addr] = server
	}
	return server, err
}

// alive reports whether the server's handler has not returned.
func (s installedServer) alive() bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return errors.Is(s.ch.WaitClose(ctx), context.Canceled)
}

// install runs the handler that listens.
func install(ctx context.Context, gw *Gateway, addr string) (installedServer, error) {
	s := installedServer{key: keyed.Generate()}
	ch, err := gw.RemoteExec(ctx, listenHandler, listenArgs{Key: s.key.Bytes(), Addr: addr})
	if err != nil {
		return s, err
	}
	s.ch = ch
	if err := ch.Receive(ctx, &s.port); err != nil {
		ch.Close()
		return s, err
	}
	return s, nil
}

// listenHandler is the name of the handler that every agent has for installvia.
const listenHandler = reservedPrefix + "listen"

type listenArgs struct {
	Key  []byte `cbor:"1,keyasint"`
	Addr string `cbor:"2,keyasint"`
}

// listen is that handler: a SocketServer as long as its channel lives. It sends the port.
func listen(ctx context.Context, ch *Channel, args Item) error {
	var a listenArgs
	if err := args.Decode(&a); err != nil {
		return err
	}
	key, err := keyed.FromBytes(a.Key)
	if err != nil {
		return err
	}
	command, err := thisCommand()
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", a.Addr)
	if err != nil {
		return err
	}
	if err := ch.Send(ctx, ln.Addr().(*net.TCPAddr).Port); err != nil {
		ln.Close()
		return err
	}
	server := SocketServer{Key: key, Command: command}
	return server.Serve(ctx, ln)
}

// thisCommand is how this process was started.
func thisCommand() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	return append([]string{self}, os.Args[1:]...), nil
}

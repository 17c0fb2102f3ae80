package gateway

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	// networkPatience is how long each side of a connection to a network waits for the other's next
	// message.
	networkPatience = 20 * time.Second
	// startPatience is the same for the program to start: its user may have to compile it first.
	startPatience = 15 * time.Minute
	// networkGrace bounds what a user can ask for its program to get when it is gone.
	networkGrace = 10 * time.Second
	// defaultNetworkUsers bounds the connections to a network.
	defaultNetworkUsers = 4096
)

// NetworkHosts are the hosts of a network, which package network keeps. Its methods are called
// concurrently.
type NetworkHosts interface {
	// Take chooses a host that is up and returns its gateway. The host counts one user more until
	// release is called.
	Take(c Choice) (host NetworkHost, gw *Gateway, release func(), err error)
	// Pick returns the ids of hosts for n gateways: as Take would choose them, one after the other.
	Pick(c Choice, n int) ([]string, error)
	// Change adds hosts and removes others, and returns the ids of those that were added.
	Change(add, remove []string) ([]string, error)
	// Status is what there is.
	Status() NetworkStatus
}

// NetworkServer lends the hosts of a network to programs: it starts what they ask for there, and
// passes on the bytes. It runs nothing of theirs itself.
type NetworkServer struct {
	Hosts NetworkHosts
	// Stop is called when a user wants the network to end. It must not block.
	Stop func()
	// MaxUsers bounds the connections at once. 0 means 4096.
	MaxUsers int
	// Logger gets a warning of each user that was refused. Nil is for nobody.
	Logger *slog.Logger
}

// Serve serves the connections of ln until ctx ends or ln fails, which is the error then; it closes
// ln. What users have started ends with their connections, and all of them with ctx. It returns
// when nothing is left.
func (s *NetworkServer) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var users sync.WaitGroup
	defer users.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	places := make(chan struct{}, cmp.Or(s.MaxUsers, defaultNetworkUsers))
	err := acceptAll(ctx, ln, s.Logger, func(conn net.Conn) {
		select {
		case places <- struct{}{}:
			users.Go(func() {
				s.user(ctx, conn)
				<-places
			})
		default:
			s.warn("network has no place for one more user", "users", cap(places))
			conn.Close()
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve network: %w", err)
}

func (s *NetworkServer) warn(text string, args ...any) {
	if s.Logger != nil {
		s.Logger.Warn(text, args...)
	}
}

// user serves one connection, which it owns.
func (s *NetworkServer) user(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })() // until it relays
	conn.SetDeadline(time.Now().Add(networkPatience))                            // fails when it is closed, as does all else
	var req networkRequest
	err := readNetworkHead(conn)
	if err == nil {
		err = readNetworkMessage(conn, &req)
	}
	if writeNetworkHead(conn) != nil { // also to another version, which says then what is wrong
		return
	}
	if err != nil {
		s.warn("network refuses a user", "error", err)
		return
	}
	if req.Op == networkOpen {
		s.lend(ctx, conn, req.Choice)
		return
	}
	answer, err := s.answer(req)
	if err != nil {
		answer.Error = err.Error()
	}
	writeNetworkMessage(conn, answer) // who is gone needs no answer
	if req.Op == networkStop && err == nil {
		s.Stop()
	}
}

// answer is for all but an open.
func (s *NetworkServer) answer(req networkRequest) (a networkAnswer, err error) {
	switch req.Op {
	case networkPick:
		a.IDs, err = s.Hosts.Pick(req.Choice, req.Count)
	case networkStatus:
		a.State = s.Hosts.Status()
	case networkAdd:
		a.IDs, err = s.Hosts.Change(req.Specs, nil)
	case networkRemove:
		_, err = s.Hosts.Change(nil, req.IDs)
	case networkStop:
	default:
		err = fmt.Errorf("the network does not know operation %d", req.Op)
	}
	return a, err
}

// lend starts a program on a host and relays until it, or the connection, ends.
func (s *NetworkServer) lend(ctx context.Context, conn net.Conn, choice Choice) {
	host, gw, release, err := s.Hosts.Take(choice)
	if err != nil {
		writeNetworkMessage(conn, networkAnswer{Error: err.Error()}) // who is gone needs no answer
		return
	}
	defer release()
	if writeNetworkMessage(conn, networkAnswer{Host: host}) != nil {
		return
	}
	conn.SetDeadline(time.Now().Add(startPatience))
	var start networkStart
	if ctx.Err() != nil || readNetworkMessage(conn, &start) != nil || len(start.Args) == 0 {
		return
	}
	conn.SetDeadline(time.Time{})
	c := newSocketClient(conn, conn, networkPatience)
	from := relayOrigin{gw}
	if c.agent, err = from.startAhead(ctx, start.Args, socketStream{c.out, socketStderr}); err != nil {
		c.out.write(socketStderr, []byte(err.Error()+"\n")) // who is gone needs no telling
		c.out.write(socketStatus, []byte("was not started"))
		return
	}
	c.lost = func() string {
		if ctx.Err() != nil {
			return "the network has ended"
		}
		return from.lost()
	}
	c.relay(ctx, min(time.Duration(start.Grace)*time.Millisecond, networkGrace))
}

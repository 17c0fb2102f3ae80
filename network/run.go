package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/netsock"
)

// Config says what a network is.
type Config struct {
	Name  string
	Specs []string // of the hosts that it has at first
	// Gateway is how its relays are started and kept. Prompt is of no use: the user may be gone.
	Gateway gateway.Config
	Version string // of this program, for those who ask
	Log     string // file that Logger writes to, for those who ask; "" is none
	// Ready is called once, when users can connect and each host is up or could not be reached, but
	// no later than HostsWait after the beginning. Nil is for nobody.
	Ready func(gateway.NetworkStatus)
	// HostsWait is how long Ready waits for hosts. 0 does not wait.
	HostsWait time.Duration
	// Logger is told which hosts come and go. Nil is for nobody.
	Logger *slog.Logger

	lookEvery time.Duration // how often hosts are asked how busy they are; 0 is lookEvery
}

// Run is the process of a network. It returns when ctx has ended or a user has stopped the network,
// and nothing is left: nil, or why it could not begin: netsock.ErrRunning, an *xspec.Error, what is
// wrong with the directories for its socket; or what may still run on its hosts.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inner, err := netsock.Listen(cfg.Name)
	if err != nil {
		return fmt.Errorf("start network %s: %w", cfg.Name, err)
	}
	ln := newSteady(cfg, inner)
	defer ln.release() // when nothing is left
	k := newKeeper(cfg)
	if _, err := k.Change(cfg.Specs, nil); err != nil {
		return errors.Join(fmt.Errorf("start network %s: %w", cfg.Name, err), k.end())
	}
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	helpers.Go(func() { ln.guard(ctx) })
	helpers.Go(func() {
		wait, done := context.WithTimeout(ctx, cfg.HostsWait)
		defer done()
		k.await(wait)
		if cfg.Ready != nil && ctx.Err() == nil {
			cfg.Ready(k.Status())
		}
	})
	cfg.Logger.Info("network is up", "name", cfg.Name, "socket", inner.Path(), "hosts", len(cfg.Specs))
	server := &gateway.NetworkServer{Hosts: k, Stop: cancel, Logger: cfg.Logger}
	endc := make(chan error, 1) // never closed
	helpers.Go(func() {         // a host that is silent must not hold up those who use it
		<-ctx.Done()
		endc <- k.end()
	})
	err = server.Serve(ctx, ln)
	cancel()
	err = errors.Join(err, <-endc)
	cfg.Logger.Info("network has ended", "name", cfg.Name, "error", err)
	return err
}

// guardEvery is how often the socket is looked for.
const guardEvery = 3 * time.Second

// steady is a listener that makes its socket anew when somebody has removed it, as the system does
// with a user's runtime directory after the last logout. guard is a goroutine of Run's.
type steady struct {
	cfg Config

	mu     sync.Mutex // guards the fields below
	now    *netsock.Listener
	freshc chan struct{} // closed and replaced when now is another one, or closed is set
	closed bool
}

var _ net.Listener = (*steady)(nil)

func newSteady(cfg Config, l *netsock.Listener) *steady {
	return &steady{cfg: cfg, now: l, freshc: make(chan struct{})}
}

// Accept implements net.Listener.
func (s *steady) Accept() (net.Conn, error) {
	for {
		s.mu.Lock()
		l, fresh, closed := s.now, s.freshc, s.closed
		s.mu.Unlock()
		if closed {
			return nil, net.ErrClosed
		}
		conn, err := l.Accept()
		if err == nil || !errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		<-fresh
	}
}

// Addr implements net.Listener.
func (s *steady) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Addr()
}

// Close implements net.Listener.
func (s *steady) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.freshc)
	return s.now.Close()
}

// release lets another process have the network's name.
func (s *steady) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Release() // what is left the next process removes
}

// guard looks for the socket until ctx ends.
func (s *steady) guard(ctx context.Context) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.renew()
		case <-ctx.Done():
			return
		}
	}
}

// renew makes a socket that is gone anew.
func (s *steady) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.now.Gone() {
		return
	}
	s.now.Release()
	l, err := netsock.Listen(s.cfg.Name)
	if err != nil {
		s.cfg.Logger.Warn("socket is gone and cannot be made anew", "error", err)
		return
	}
	s.now = l
	close(s.freshc)
	s.freshc = make(chan struct{})
	s.cfg.Logger.Warn("socket was gone and is made anew", "socket", l.Path())
}

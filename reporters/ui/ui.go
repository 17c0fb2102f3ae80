// Package ui shows a run in a browser while it goes on: the page of package html, on the loopback.
//
// The address of the page has a secret. Who does not know it gets nothing: other users of this
// machine, and pages of other sites in the same browser. A page is told what is new by server-sent
// events. When the run has ended it asks for the report, which the run waits for a moment.
//
// # Goroutines, limits
//
// NewServer starts a server, whose goroutines end with End. A browser that takes nothing for
// sendWait is cut off. It may come back, and goes on where it was.
package ui

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/reporters/html"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	// refresh is how often a page is told what is new.
	refresh = 300 * time.Millisecond
	// sendWait is how long a browser may take to accept something, and leaveWait how long one that
	// shows the run may take to fetch the report of the run that has ended.
	sendWait  = 10 * time.Second
	leaveWait = 5 * time.Second
)

// Server shows a run. Handle and Close are called from one goroutine, and End once after them.
type Server struct {
	live   *html.Live
	server *http.Server
	secret string
	served chan error    // of the server; gets its error
	closed chan struct{} // closed by Close

	mu      sync.Mutex    // guards what follows
	readers int           // pages that show the run, and have not fetched its report
	left    chan struct{} // closed when there are none any more after Close
}

// NewServer listens on the loopback. The run is shown at Server.Address. watch and past are as
// for html.New.
func NewServer(watch *failure.Watch, past html.Past) (*Server, error) {
	return newServer(time.Now, watch, past)
}

func newServer(now func() time.Time, watch *failure.Watch, past html.Past) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("show the run in a browser: %w", err)
	}
	s := &Server{live: html.NewLive(now, watch, past), secret: rand.Text(), served: make(chan error, 1), closed: make(chan struct{}), left: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /news", s.news)
	s.server = &http.Server{Addr: ln.Addr().String(), Handler: s.guard(mux), ReadHeaderTimeout: sendWait}
	go func() { s.served <- s.server.Serve(ln) }()
	return s, nil
}

// Address is where the page is.
func (s *Server) Address() string { return "http://" + s.server.Addr + "/?token=" + s.secret }

// Handle takes the next event of the run. It returns no error.
func (s *Server) Handle(e event.Event) error {
	s.live.See(e)
	return nil
}

// guard lets nobody in who does not know the secret.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("token")), []byte(s.secret)) != 1 {
			http.Error(w, "the address of the page has a token, which xdist has printed", http.StatusForbidden)
			return
		}
		for name, value := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendWait)); err != nil {
		return // and so has the browser
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	over := s.live.Over()
	s.live.WritePage(w) // who has gone does not want it
	if over {
		s.leave()
	}
}

// news streams what is new to a page, from where it says that it is, until the run has ended.
func (s *Server) news(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "the run is over", http.StatusGone)
		return
	}
	told := false
	defer func() {
		if !told { // else it leaves with the report
			s.leave()
		}
	}()
	at := html.ParseSeen(r.Header.Get("Last-Event-ID"))
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		over := false
		select {
		case <-s.closed:
			over = true
		default:
		}
		n, more := s.live.Since(&at)
		n.Ended = over && !more
		text, err := json.Marshal(n)
		if err != nil {
			return // it has nothing that cannot be
		}
		if err = out.SetWriteDeadline(time.Now().Add(sendWait)); err == nil {
			_, err = fmt.Fprintf(w, "id: %v\ndata: %s\n\n", at, text)
		}
		if err = errors.Join(err, out.Flush()); err != nil {
			return
		}
		if told = n.Ended; told {
			return
		}
		if more {
			continue
		}
		select {
		case <-tick.C:
		case <-s.closed:
		case <-r.Context().Done():
			return
		}
	}
}

// enter counts a page that shows the run.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live.Over() {
		return false
	}
	s.readers++
	return true
}

// leave is the end of a page that shows the run: its browser has gone, or has the report.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers == 0 {
		return // one that was never counted
	}
	if s.readers--; s.readers == 0 && s.live.Over() {
		close(s.left)
	}
}

// Close has pages show the report of the run that has ended. It waits for them a moment.
func (s *Server) Close() error {
	s.mu.Lock()
	waits := s.readers > 0 && s.live.Over()
	s.mu.Unlock()
	close(s.closed)
	if !waits {
		return nil
	}
	select {
	case <-s.left:
	case <-time.After(leaveWait):
	}
	return nil
}

// End ends the server. It is called after Close, once.
func (s *Server) End() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = s.server.Close()
	}
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("show the run in a browser: %w", err)
	}
	return nil
}

var _ event.Reporter = (*Server)(nil)

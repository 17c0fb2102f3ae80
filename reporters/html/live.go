package html

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters/failure"
	"github.com/xdist-go/xdist/reporters/timeline"
	"github.com/xdist-go/xdist/scheduler/event"
)

const (
	// refresh is how often a page is told what is new.
	refresh = 300 * time.Millisecond
	// sendWait is how long a browser may take to accept something, and leaveWait how long one that
	// shows the run may take to fetch the report of the run that has ended.
	sendWait  = 10 * time.Second
	leaveWait = 5 * time.Second
	// tellMost is how many tests, and how many bars, one message has at most.
	tellMost = 5000
)

// Live shows a run in a browser while it goes on, on this machine only: the page of a Report, to
// which its script adds what is new. The address has a secret; who does not know it gets nothing.
// When the run has ended the page is the report.
//
// Handle and Close are called from one goroutine. The server has its own, which end with Close, or
// with End when the page is kept. mu guards what they share.
type Live struct {
	server *http.Server
	secret string
	served chan error    // of the server; closed by its goroutine
	ended  chan struct{} // closed by Close
	now    func() time.Time

	mu      sync.Mutex
	run     *run
	settled []event.ItemSeconds // tests as they got their verdicts; a later one of the same test counts
	done    event.Test          // the last one
	failed  int
	running map[string]running // by gateway
	readers int                // pages that show the run, and have not fetched its report
	left    chan struct{}      // closed when there are no readers and the run has ended
}

// running is the test that a gateway began last, and has not ended.
type running struct {
	test string
	from time.Duration // since the run began
}

// NewLive listens on the loopback, and returns what shows the run at Live.Address. watch is as for
// New.
func NewLive(watch *failure.Watch) (*Live, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("show the run in a browser: %w", err)
	}
	l := &Live{
		secret: rand.Text(), served: make(chan error, 1), ended: make(chan struct{}), left: make(chan struct{}), now: time.Now,
		run: newRun(watch), running: map[string]running{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", l.page)
	mux.HandleFunc("GET /news", l.news)
	l.server = &http.Server{Addr: ln.Addr().String(), Handler: l.guard(mux), ReadHeaderTimeout: sendWait}
	go func() {
		l.served <- l.server.Serve(ln)
		close(l.served)
	}()
	return l, nil
}

// Address is where the page is.
func (l *Live) Address() string { return "http://" + l.server.Addr + "/?token=" + l.secret }

// guard lets nobody in who does not know the secret, as other users of this machine, and pages of
// other sites in the same browser.
func (l *Live) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("token")), []byte(l.secret)) != 1 {
			http.Error(w, "the address of the page has a token, which xdist has printed", http.StatusForbidden)
			return
		}
		for name, value := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// Handle takes the next event of the run. It returns no error.
func (l *Live) Handle(e event.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run.see(e)
	switch e := e.(type) {
	case event.Progress:
		l.progress(e)
	case event.UnitEnded:
		delete(l.running, e.Gateway)
	case event.GatewayDown:
		delete(l.running, e.Gateway)
	case event.Test:
		if e.Test != "" && e.Terminal() && !e.Again && !strings.Contains(e.Test, "/") {
			l.settle(e)
		}
	}
	return nil
}

func (l *Live) progress(e event.Progress) {
	if strings.Contains(e.Test, "/") {
		return
	}
	switch now := l.running[e.Gateway]; {
	case e.Action == test2json.ActionRun:
		l.running[e.Gateway] = running{e.Package + "::" + e.Test, max(0, e.Time.Sub(l.run.started.Time))}
	case now.test == e.Package+"::"+e.Test && e.Action != test2json.ActionPause && e.Action != test2json.ActionCont:
		delete(l.running, e.Gateway)
	}
}

func (l *Live) settle(e event.Test) {
	it := event.ItemSeconds{ID: e.Package + "::" + e.Test, Gateway: e.Gateway, Platform: e.Platform, Verdict: event.Verdict(e.Action)}
	if e.Elapsed != nil {
		it.Elapsed = time.Duration(*e.Elapsed * float64(time.Second))
	}
	if it.Verdict == event.Fail {
		l.failed++
	}
	l.settled, l.done = append(l.settled, it), e
}

// page writes the page: of a run that goes on, what its script fills, else the report.
func (l *Live) page(w http.ResponseWriter, r *http.Request) {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendWait)); err != nil {
		return // and so has the browser
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	l.mu.Lock()
	run, v := l.run, view{Style: template.CSS(style), Title: filepath.Base(l.run.started.Workdir), Headline: l.headline(), Class: classes[event.NotDone], Facts: l.run.facts(), Live: true}
	over := run.ended != nil
	l.mu.Unlock()
	if over {
		run.write(w) // nothing changes it any more; who has gone does not want it
		l.leave()
		return
	}
	writePage(w, v, func(out *bufio.Writer) {
		out.WriteString(`{"live":true,"tests":[],"bars":[],"gateways":[],"packages":[],"platforms":[],"length":0}`)
	})
}

// headline is how far the run is.
func (l *Live) headline() string {
	if l.run.ended != nil {
		return headline(l.run.ended, l.run.alone)
	}
	text := fmt.Sprintf("running: %d of %d tests", l.done.Done, l.done.Total)
	if l.failed > 0 {
		text += fmt.Sprintf(", %d failed", l.failed)
	}
	return text
}

// news is a message to a page that shows a run. Tests are package, name, verdict, gateway,
// milliseconds and platform; bars gateway, package, name, start, length and outcome; what runs
// gateway, test and start.
type news struct {
	Headline string      `json:"headline"`
	Length   int64       `json:"length"`
	Gateways [][2]string `json:"gateways"` // all, with their hosts
	Tests    [][]any     `json:"tests,omitempty"`
	Bars     [][]any     `json:"bars,omitempty"`
	Running  [][]any     `json:"running,omitempty"`
	Failures string      `json:"failures,omitempty"` // HTML
	Ended    bool        `json:"ended,omitempty"`    // the page is to be asked for again
}

// seen is how much of a run a page has.
type seen struct{ tests, bars, findings int }

// news streams what is new to a page, from where it says that it is, until the run has ended.
func (l *Live) news(w http.ResponseWriter, r *http.Request) {
	if !l.enter() {
		http.Error(w, "the run is over", http.StatusGone)
		return
	}
	told := false
	defer func() {
		if !told { // else it leaves with the report
			l.leave()
		}
	}()
	var at seen
	fmt.Sscanf(r.Header.Get("Last-Event-ID"), "%d-%d-%d", &at.tests, &at.bars, &at.findings) // else from the beginning
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		over := false
		select {
		case <-l.ended:
			over = true
		default:
		}
		n, more := l.since(&at)
		n.Ended = over && !more
		text, err := json.Marshal(n)
		if err != nil {
			return // it has nothing that cannot be
		}
		if err = out.SetWriteDeadline(time.Now().Add(sendWait)); err == nil {
			_, err = fmt.Fprintf(w, "id: %d-%d-%d\ndata: %s\n\n", at.tests, at.bars, at.findings, text)
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
		case <-l.ended:
		case <-r.Context().Done():
			return
		}
	}
}

// since is what is new to a page, and whether there is more than a message has.
func (l *Live) since(at *seen) (n news, more bool) {
	l.mu.Lock()
	n.Headline = l.headline()
	if l.run.ended != nil {
		n.Length = l.run.ended.Elapsed.Milliseconds()
	} else if !l.run.started.Time.IsZero() {
		n.Length = l.now().Sub(l.run.started.Time).Milliseconds()
	}
	gateways := slices.Clone(l.run.timeline.Gateways)
	settled, bars, findings := part(l.settled, &at.tests), part(l.run.timeline.Bars, &at.bars), part(l.run.findings, &at.findings)
	more = at.tests < len(l.settled) || at.bars < len(l.run.timeline.Bars) || at.findings < len(l.run.findings)
	for gateway, now := range l.running {
		n.Running = append(n.Running, []any{gateway, now.test, now.from.Milliseconds()})
	}
	l.mu.Unlock()
	for _, g := range gateways {
		n.Gateways = append(n.Gateways, [2]string{g.ID, g.Host})
	}
	for _, it := range settled {
		k := keyOf(it.ID)
		n.Tests = append(n.Tests, []any{k.pkg, k.name, slices.Index(verdictCodes, it.Verdict), it.Gateway, it.Elapsed.Milliseconds(), it.Platform})
	}
	for _, b := range bars {
		if b.Outcome != timeline.Process {
			n.Bars = append(n.Bars, []any{gateways[b.Gateway].ID, b.Package, b.Test, b.From.Milliseconds(), (b.To - b.From).Milliseconds(), int(b.Outcome - timeline.Passed)})
		}
	}
	var b strings.Builder
	for _, f := range findings {
		if err := parts.ExecuteTemplate(&b, "finding", f); err != nil {
			panic("BUG: show a failure: " + err.Error())
		}
	}
	n.Failures = b.String()
	return n, more
}

// part is the next part of a list that only grows, from *at on.
func part[T any](list []T, at *int) []T {
	from := min(max(*at, 0), len(list))
	*at = min(len(list), from+tellMost)
	return list[from:*at]
}

// enter counts a page that shows the run.
func (l *Live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run.ended != nil {
		return false
	}
	l.readers++
	return true
}

// leave is the end of a page that shows the run: its browser has gone, or has the report.
func (l *Live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == 0 {
		return // one that was never counted
	}
	if l.readers--; l.readers == 0 && l.run.ended != nil {
		close(l.left)
	}
}

// Close has pages show the report of the run that has ended. It waits for them a moment.
func (l *Live) Close() error {
	l.mu.Lock()
	waits := l.readers > 0 && l.run.ended != nil
	l.mu.Unlock()
	close(l.ended)
	if !waits {
		return nil
	}
	select {
	case <-l.left:
	case <-time.After(leaveWait):
	}
	return nil
}

// End ends the server. It is called after Close, once.
func (l *Live) End() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if err != nil {
		err = l.server.Close()
	}
	if served := <-l.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("show the run in a browser: %w", err)
	}
	return nil
}

var _ event.Reporter = (*Live)(nil)

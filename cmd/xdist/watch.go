package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/scheduler"
)

// watch makes requests to a run of the keys and signals of somebody who watches it. It owns one
// goroutine, which end joins.
type watch struct {
	requests chan scheduler.Request // capacity requestRoom, never closed
	keys     *keyboard
	signals  chan os.Signal // capacity signalRoom, never closed
	donec    chan struct{}  // closed by end
	endedc   chan struct{}  // closed by the goroutine as its last act
}

const (
	// requestRoom takes one request of each kind. Who asks twice before the run has answered gets
	// one answer.
	requestRoom = 4
	signalRoom  = 8
)

// startWatch begins to listen. Keys are read where the report is on the terminal that they are
// typed on: else somebody else may want them, such as a pager.
func startWatch(c *cli.Context, keys *keyboard) *watch {
	w := &watch{
		requests: make(chan scheduler.Request, requestRoom), keys: keys, signals: make(chan os.Signal, signalRoom),
		donec: make(chan struct{}), endedc: make(chan struct{}),
	}
	if out, ok := c.App.Writer.(*os.File); ok && !truthy(os.Getenv("CI")) {
		if width, _ := reporters.Terminal(out); width != nil {
			keys.open(os.Stdin)
		}
	}
	for _, s := range watchedSignals {
		if !signal.Ignored(s) { // as SIGQUIT is in the background of a script
			signal.Notify(w.signals, s)
		}
	}
	go w.listen(c.Context)
	return w
}

// end stops listening and gives the terminal back.
func (w *watch) end() {
	close(w.donec)
	<-w.endedc
	signal.Stop(w.signals)
	w.keys.close()
}

func (w *watch) listen(ctx context.Context) {
	defer close(w.endedc)
	interrupted := ctx.Done()
	for {
		select {
		case <-w.donec:
			return
		case <-interrupted:
			// The next signal ends this process without more ado.
			interrupted = nil
			w.keys.close()
		case key := <-w.keys.pressed:
			if key == 't' || key == 'T' || key == '\r' || key == '\n' {
				w.showRunning()
			}
		case s := <-w.signals:
			w.take(s)
		}
	}
}

// showRunning asks what runs, unless somebody has just done so.
func (w *watch) showRunning() {
	if len(w.requests) == 0 {
		w.requests <- scheduler.ShowRunning{} // there is room, and nobody else fills it
	}
}

package scheduler

import (
	"context"
	"time"

	"github.com/xdist-go/xdist/scheduler/event"
)

// Request is what somebody who watches a run wants of it. The concrete types are in this file.
type Request interface{ request() }

// ShowRunning asks for an event.Running.
type ShowRunning struct{}

// Quit has the processes that run show their goroutines and end, and the run with them: what
// SIGQUIT does to go test. A test that a process dies of fails, and the run counts as interrupted.
type Quit struct{}

// Suspend has the run stand still: agents hold their tests and leases (gateway.Group.Suspend), and
// the clocks of the run stop. The caller stops this process when Standing is closed, which takes a
// second at the most once the run has heard of it.
type Suspend struct {
	Standing chan<- struct{} // closed by the run
	GoOn     <-chan struct{} // closed by the caller; the run waits for it
}

func (ShowRunning) request() {}
func (Quit) request()        {}
func (Suspend) request()     {}

// handleRequest does what was asked for.
func (c *controller) handleRequest(r Request) {
	switch r := r.(type) {
	case ShowRunning:
		c.showRunning()
	case Quit:
		c.quit()
	case Suspend:
		c.suspend(r)
	}
}

// quit ends the run with what its processes have to say of their goroutines.
func (c *controller) quit() {
	c.interrupted = true
	c.revoke("quit by a signal")
	c.endJobs(toldQuit)
}

// suspendWait is how long agents may take to answer that they know.
const suspendWait = time.Second

// suspend has the run stand still. The loop waits meanwhile, and whoever posts to it.
func (c *controller) suspend(r Suspend) {
	at := time.Now()
	c.emit(event.Suspended{Time: at})
	ctx, cancel := context.WithTimeout(c.ctx, suspendWait)
	err := c.cfg.Group.Suspend(ctx)
	cancel()
	close(r.Standing)
	<-r.GoOn
	c.cfg.Group.Resume()
	now := time.Now()
	c.shift(now.Sub(at))
	c.emit(event.Resumed{Time: now, Stood: now.Sub(at)})
	if err != nil {
		c.emit(event.Warning{Text: "a gateway may be lost, as it was not ready to be suspended: " + err.Error()})
	}
}

// shift has the clocks of the run leave out a time in which it stood still.
func (c *controller) shift(d time.Duration) {
	c.start = c.start.Add(d)
	if c.late != nil {
		c.late = time.After(c.cfg.NodesWait) // once more
	}
	for _, n := range c.nodes {
		if n.job == nil {
			continue
		}
		n.job.stood, n.job.started = true, n.job.started.Add(d)
		for _, it := range n.job.items {
			if it.open() {
				it.suspended = true
			}
			if !it.watch.began.IsZero() {
				it.watch.began = it.watch.began.Add(d)
			}
		}
	}
	for _, p := range c.pkgs {
		if !p.start.IsZero() && p.state != pkgClosed {
			p.start = p.start.Add(d)
		}
	}
}

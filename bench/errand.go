package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/xspec"
)

// errand is what one process of our side does for the comparison with rsync: it opens a gateway to
// each host, makes the directories there what the root is, and ends.
type errand struct {
	Specs []string      // one for each host
	Dirs  []string      // the target on each
	Root  string        // of the source; empty sends nothing
	Cache string        // for the source's index
	Agent gateway.Agent // for all hosts
}

// ran is what came of an errand. Times are in seconds.
type ran struct {
	Up        float64 // until the last gateway was open
	Open      float64 // until the last agent has answered a question
	Send      float64
	End       float64 // until all that was started has ended
	Entries   int
	Files     int // that were sent, over all targets
	Changed   int // that were sent, touched or removed
	Sent      int64
	Peak      float64 // resident size of this process
	AgentPeak float64 // of the largest agent
}

// errandMain is the process.
func errandMain(ctx context.Context, args []string) error {
	var e errand
	if len(args) != 1 {
		return fmt.Errorf("errand: want one")
	}
	if err := json.Unmarshal([]byte(args[0]), &e); err != nil {
		return fmt.Errorf("errand: %w", err)
	}
	r, err := e.run(ctx)
	if err != nil {
		return fmt.Errorf("errand: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func (e errand) run(ctx context.Context) (r ran, err error) {
	start := time.Now()
	lap := func(seconds *float64) {
		*seconds = time.Since(start).Seconds()
		start = time.Now()
	}
	g := gateway.NewGroup(gateway.Config{
		Agent: func(context.Context, string, string) (gateway.Agent, error) { return e.Agent, nil },
	})
	defer func() {
		g.Terminate(context.WithoutCancel(ctx), terminateTime) // what it could not end is killed
		lap(&r.End)
	}()
	gateways, err := e.open(ctx, g, func() { r.Up = time.Since(start).Seconds() })
	if err != nil {
		return r, err
	}
	lap(&r.Open)
	if e.Root != "" {
		if err := e.send(ctx, gateways, &r); err != nil {
			return r, err
		}
	}
	lap(&r.Send)
	r.Peak, _ = residentPeak(os.Getpid()) // 0 where it is not told
	for _, gw := range gateways {
		peak, _ := residentPeak(gw.Info().Pid) // the hosts are this machine
		r.AgentPeak = max(r.AgentPeak, peak)
	}
	return r, nil
}

// terminateTime is how long agents get to end.
const terminateTime = 10 * time.Second

// open opens all gateways at the same time, and asks each agent something. It says when the last
// one was open.
func (e errand) open(ctx context.Context, g *gateway.Group, up func()) ([]*gateway.Gateway, error) {
	var left atomic.Int64
	left.Store(int64(len(e.Specs)))
	gateways := make([]*gateway.Gateway, len(e.Specs))
	errs := make([]error, len(e.Specs))
	var wait sync.WaitGroup
	for i, text := range e.Specs {
		wait.Go(func() {
			spec, err := xspec.Parse(text)
			if err == nil {
				gateways[i], err = g.OpenSpec(ctx, spec)
			}
			if left.Add(-1) == 0 {
				up()
			}
			if err == nil {
				_, err = gateways[i].Status(ctx)
			}
			errs[i] = err
		})
	}
	wait.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return nil, errs[i]
	}
	return gateways, nil
}

func (e errand) send(ctx context.Context, gateways []*gateway.Gateway, r *ran) error {
	s := rsync.New(rsync.Source{Root: e.Root, Cache: e.Cache})
	for i, gw := range gateways {
		s.AddTarget(gw, e.Dirs[i], rsync.TargetOptions{Delete: true, Clean: true})
	}
	report, err := s.Send(ctx)
	if err != nil {
		return err
	}
	r.Entries = report.Entries
	for _, t := range report.Targets {
		r.Files += t.Files
		r.Changed += t.Files + t.Touched + t.Removed
		r.Sent += t.Sent
	}
	return nil
}

package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
)

// knownAgent is an agent with what its upload needs to know.
type knownAgent struct {
	Agent
	size   int64
	system string // that it was asked for, as uname names it
	packed func() ([]byte, error)
}

// agentCache has the agents that a group has asked for, each platform's once.
type agentCache struct {
	cfg Config

	mu      sync.Mutex // guards the map
	entries map[string]*agentEntry
}

type agentEntry struct {
	readyc    chan struct{} // closed when agent or err is set
	agent     knownAgent
	err       error
	abandoned bool // err is that the context has ended with which Config.Agent was called
}

// get returns the agent for a platform. The first to ask waits for Config.Agent, with its context,
// and others for it. When that context ends one of the others asks anew. None of this counts
// against OpenTimeout.
func (c *agentCache) get(ctx context.Context, goos, goarch string) (knownAgent, error) {
	defer holdClock(ctx)()
	platform := goos + "/" + goarch
	for {
		c.mu.Lock()
		e := c.entries[platform]
		mine := e == nil
		if mine {
			e = &agentEntry{readyc: make(chan struct{})}
			c.entries[platform] = e
		}
		c.mu.Unlock()
		if mine {
			e.agent, e.err = c.load(ctx, goos, goarch)
			if e.err != nil { // the next one may have more luck, or more time
				e.abandoned = ctx.Err() != nil
				c.mu.Lock()
				delete(c.entries, platform)
				c.mu.Unlock()
			}
			close(e.readyc)
		}
		select {
		case <-e.readyc:
		case <-ctx.Done():
			return knownAgent{}, fmt.Errorf("get agent for %s: %w", platform, ctx.Err())
		}
		if mine || !e.abandoned {
			return e.agent, e.err
		}
	}
}

func (c *agentCache) load(ctx context.Context, goos, goarch string) (knownAgent, error) {
	a, err := c.cfg.agent(ctx, goos, goarch)
	if err != nil {
		return knownAgent{}, err
	}
	info, err := os.Stat(a.Path)
	if err != nil {
		return knownAgent{}, fmt.Errorf("get agent for %s/%s: %w", goos, goarch, err)
	}
	return c.known(a, info.Size()), nil
}

func (c *agentCache) known(a Agent, size int64) knownAgent {
	return knownAgent{Agent: a, size: size, packed: sync.OnceValues(func() ([]byte, error) { return packFile(a.Path) })}
}

// packFile compresses a file. An executable of Go shrinks to less than half; more effort is not
// worth its time.
func packFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(z, f); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// sendFile sends an agent unpacked.
func sendFile(w io.Writer, agent knownAgent) error {
	f, err := os.Open(agent.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := fmt.Fprintf(w, "put %d\n", agent.size); err != nil {
		return err
	}
	_, err = io.CopyN(w, f, agent.size)
	return err
}

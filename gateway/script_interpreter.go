package gateway

import (
	"bufio"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// mostIdle is how many interpreters of an agent may wait for another source. Each takes about
	// 10 MB.
	mostIdle = 4
	// idleFor is how long one waits.
	idleFor = time.Minute
	// idleSoon is how long a source waits for an interpreter that is busy: less than it takes to
	// start one.
	idleSoon = 5 * time.Millisecond
)

// interpreter is a Python process with the shim, which runs one source after the other. It owns a
// goroutine that waits for the process, which endedc joins.
type interpreter struct {
	name string // program and arguments, which tell the kinds apart
	l    *endpoint
	r    *bufio.Reader // of what the shim says
	// endless is that the source before this one has got no end of its items, which is written with
	// what comes next. It is for the one who has the interpreter.
	endless bool
	status  string        // how the process has ended; to be read after endedc
	endedc  chan struct{} // closed when it has
}

// interpreters are those of one session. It owns the processes that are idle, their timers, and the
// goroutines that end them; close ends and joins all of that. The zero value is ready.
type interpreters struct {
	ending sync.WaitGroup // of those that are retired

	mu       sync.Mutex // guards the fields below
	closed   bool
	idle     []idleInterpreter // used last at the end
	busy     map[string]int    // by name
	changedc chan struct{}     // closed and replaced when one is idle; nil when nobody waits
}

type idleInterpreter struct {
	*interpreter
	timer *time.Timer // retires it
}

// take returns an interpreter that runs nothing, a new one where there is none. It is given back by
// put, or gone.
func (n *interpreters) take(ctx context.Context, words []string, fresh bool) (*interpreter, error) {
	name := strings.Join(words, "\x00")
	var soon <-chan time.Time
	for !fresh {
		p, changed := n.takeIdle(name)
		if p != nil {
			return p, nil
		}
		if changed == nil {
			break
		}
		if soon == nil {
			soon = time.After(idleSoon)
		}
		select {
		case <-changed:
			continue
		case <-soon:
		case <-ctx.Done():
		}
		break
	}
	l, err := startProcess(append(words[:len(words):len(words)], "-c", pythonShim), nil, os.Stderr)
	if err != nil {
		return nil, errors.New(strings.Replace(err.Error(), "start agent", "run script", 1))
	}
	p := &interpreter{name: name, l: l, r: bufio.NewReader(l.conn), endedc: make(chan struct{})}
	go func() {
		p.status = l.proc.wait()
		close(p.endedc)
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy == nil {
		n.busy = make(map[string]int)
	}
	n.busy[name]++
	return p, nil
}

// takeIdle returns an interpreter that waits, or what is closed when one does; nil when there is
// none to wait for.
func (n *interpreters) takeIdle(name string) (*interpreter, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, p := range slices.Backward(n.idle) {
		if p.name != name {
			continue
		}
		n.idle = slices.Delete(n.idle, i, i+1)
		p.timer.Stop() // or it finds that it is not idle
		select {
		case <-p.endedc: // somebody has killed it
			p.l.conn.Close()
			continue
		default:
		}
		n.busy[name]++
		return p.interpreter, nil
	}
	if n.busy[name] == 0 {
		return nil, nil
	}
	if n.changedc == nil {
		n.changedc = make(chan struct{})
	}
	return nil, n.changedc
}

// gone is told that a busy interpreter has ended.
func (n *interpreters) gone(p *interpreter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leave(p)
}

// leave takes an interpreter out of the busy ones. n.mu is held.
func (n *interpreters) leave(p *interpreter) {
	if n.busy[p.name]--; n.busy[p.name] == 0 {
		delete(n.busy, p.name)
	}
	if n.changedc != nil {
		close(n.changedc)
		n.changedc = nil
	}
}

// put makes a busy interpreter idle.
func (n *interpreters) put(p *interpreter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leave(p)
	if n.closed {
		n.retire(p)
		return
	}
	if len(n.idle) == mostIdle {
		n.idle[0].timer.Stop()
		n.retire(n.idle[0].interpreter)
		n.idle = slices.Delete(n.idle, 0, 1)
	}
	n.idle = append(n.idle, idleInterpreter{p, time.AfterFunc(idleFor, func() { n.expire(p) })})
}

// expire retires an interpreter that is idle still.
func (n *interpreters) expire(p *interpreter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.idle, func(i idleInterpreter) bool { return i.interpreter == p })
	if i >= 0 {
		n.idle = slices.Delete(n.idle, i, i+1)
		n.retire(p)
	}
}

// retire ends an interpreter that is idle. n.mu is held.
func (n *interpreters) retire(p *interpreter) {
	n.ending.Go(func() {
		p.l.proc.kill() // it has nothing to end in order
		p.l.conn.Close()
		<-p.endedc
	})
}

// close ends the idle ones, and those that will be.
func (n *interpreters) close() {
	n.mu.Lock()
	n.closed = true
	for _, p := range n.idle {
		p.timer.Stop()
		n.retire(p.interpreter)
	}
	n.idle = nil
	n.mu.Unlock()
	n.ending.Wait()
}

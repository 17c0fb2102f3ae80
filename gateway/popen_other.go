//go:build !linux

package gateway

import "os"

// reap waits for the process and ends what it has left in its group, which keeps the id while it
// has members. What handlers have put into other groups is theirs to end.
func (p *popenProcess) reap() error {
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.group.Close()
	p.reaped = true
	return err
}

// endTree kills the agent and its group.
func (p *popenProcess) endTree() { p.group.Kill() }

// growPipe does nothing: the size of a pipe cannot be set here.
func growPipe(*os.File) {}

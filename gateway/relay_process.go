package gateway

import (
	"context"
	"io"
)

// relayProcess is a process that an agent has started. It owns a goroutine that takes what the
// agent reports about it, and which wait joins; it ends with the process, or with the gateway.
type relayProcess struct {
	control *Channel
	tail    tail
	status  string        // how it has ended; empty when that is not known. To be read after endedc
	endedc  chan struct{} // closed when there is nothing more to report
}

func followProcess(control *Channel, copyTo io.Writer) *relayProcess {
	p := &relayProcess{control: control, endedc: make(chan struct{})}
	go p.follow(copyTo)
	return p
}

func (p *relayProcess) follow(copyTo io.Writer) {
	defer close(p.endedc)
	defer p.control.Close()
	for {
		var report startReport
		if err := p.control.Receive(context.Background(), &report); err != nil {
			return // the gateway is gone, whose error tells more
		}
		if len(report.Stderr) > 0 {
			p.tail.Write(report.Stderr)
			if copyTo != nil {
				copyTo.Write(report.Stderr) // how this ends is the writer's business
			}
		}
		if report.Status != "" {
			p.status = report.Status
			return
		}
	}
}

// wait implements process. The status is empty when the gateway to the process has ended before it.
func (p *relayProcess) wait() string {
	<-p.endedc
	return p.status
}

func (p *relayProcess) stderr() string { return p.tail.String() }
func (p *relayProcess) interrupt()     { p.control.offer(processOrder{orderInterrupt}) }
func (p *relayProcess) kill()          { p.control.offer(processOrder{orderKill}) }

// offer sends an item unless so many wait already that the peer cannot be reading; it never blocks.
func (c *Channel) offer(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sendErr == nil && c.outSize < smallFrame {
		c.enqueueControl(frameItem, v)
	}
}

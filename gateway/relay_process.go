package gateway

import (
	"context"
	"io"
	"sync"
)

// relayProcess is a process that an agent has started. It owns a goroutine that takes what the
// agent reports about it, and which wait joins; it ends with the process, or with the gateway.
type relayProcess struct {
	control *Channel
	keep    bool // the owner closes control
	killing sync.Once
	tail    tail
	status  string        // how it has ended; empty when that is not known. To be read after endedc
	code    int           // with status: its exit code
	copyErr error         // the first of copyTo. To be read after endedc
	endedc  chan struct{} // closed when there is nothing more to report
	killedc chan struct{} // closed by the first kill
}

func followProcess(control *Channel, copyTo io.Writer) *relayProcess {
	return followUntil(&relayProcess{control: control}, copyTo)
}

// followUntil is followProcess for a process that may outlive what is told of it.
func followUntil(p *relayProcess, copyTo io.Writer) *relayProcess {
	p.endedc, p.killedc = make(chan struct{}), make(chan struct{})
	go p.follow(copyTo)
	return p
}

func (p *relayProcess) follow(copyTo io.Writer) {
	defer close(p.endedc)
	if !p.keep {
		defer p.control.Close()
	}
	for {
		var report startReport
		if err := p.control.Receive(context.Background(), &report); err != nil {
			return // the gateway is gone, whose error tells more
		}
		if report.Error != "" { // of a start that nobody has waited for
			report.Status = report.Error
		}
		if len(report.Stderr) > 0 {
			p.tail.Write(report.Stderr)
			if copyTo != nil {
				if _, err := copyTo.Write(report.Stderr); err != nil && p.copyErr == nil {
					p.copyErr = err
				}
			}
		}
		if report.Status != "" {
			p.status, p.code = report.Status, report.Code
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
func (p *relayProcess) interrupt()     { p.control.offer(processOrder{Kind: orderInterrupt}) }

// kill implements process. The order is given once, and never lost behind others.
func (p *relayProcess) kill() {
	p.killing.Do(func() {
		p.control.order(processOrder{Kind: orderKill})
		close(p.killedc)
	})
}

// offer sends an item unless so many wait already that the peer cannot be reading, and reports
// whether it did; it never blocks.
func (c *Channel) offer(v any) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sendErr != nil || c.outSize >= smallFrame {
		return false
	}
	c.enqueueControl(frameItem, v)
	return true
}

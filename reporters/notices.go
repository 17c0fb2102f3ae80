package reporters

import (
	"fmt"
	"io"
	"time"

	"github.com/xdist-go/xdist/scheduler/event"
)

// Notices writes what belongs to no test: the go command's own messages, warnings, lost gateways
// and, at the end, what Console would say below its summary. It goes beside JSON on standard
// output, which has no place for them.
type Notices struct {
	out io.Writer
}

// NewNotices returns a Notices that writes to out, which stays the caller's.
func NewNotices(out io.Writer) Notices { return Notices{out} }

// Handle writes the event if it is a notice. The error is the writer's.
func (n Notices) Handle(e event.Event) error {
	text := ""
	switch e := e.(type) {
	case event.Stderr:
		text = e.Text
	case event.Warning:
		text = "warning: " + e.Text + "\n"
	case event.Listening:
		text = listening(e) + "\n"
	case event.SlowTest:
		text = slow(e, "SLOW")
	case event.GatewayDown:
		if e.Reason != "" {
			text = fmt.Sprintf("warning: gateway %s is down: %s\n", e.Gateway, e.Reason)
		}
	case event.RunEnded:
		text = closing(e.Summary)
	}
	_, err := io.WriteString(n.out, text)
	return err
}

// slow is the line that announces a slow test.
func slow(e event.SlowTest, word string) string {
	return fmt.Sprintf("%s %s::%s has been running for %v on %s\n", word, e.Package, e.Test, e.Running.Round(time.Second), e.Gateway)
}

// suspected is the line for a failure that is no verdict yet. Nothing that looks for the FAIL lines
// of go test may take it for one.
func suspected(e event.Suspected, words string) string {
	return fmt.Sprintf("%s %s::%s on %s, confirming: %s\n", words, e.Package, e.Test, e.Gateway, e.Why)
}

// Close does nothing.
func (n Notices) Close() error { return nil }

// listening says where agents may join a run.
func listening(e event.Listening) string {
	return fmt.Sprintf("xdist: waiting for agents at %s (xdist join)", e.Addr)
}

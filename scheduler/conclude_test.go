package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/xspec"
)

// TestGatewayEnd has each way in which a gateway can end, and where two meet, the one that counts.
func TestGatewayEnd(t *testing.T) {
	var (
		lost    = &gateway.LostError{Gateway: "gw", Status: "exit status 3", Cause: errors.New("EOF")}
		killed  = &gateway.StartError{Status: "signal: killed", Cause: errors.New("EOF")}
		refused = errors.New("connection refused")
		full    = &hosts.Error{Err: errors.New("the disk is full")}
		silent  = &gateway.PhaseError{Phase: gateway.PhaseUpload, Host: "box", Err: fmt.Errorf("%w for 15s", gateway.ErrLease)}
		late    = &gateway.PhaseError{Phase: gateway.PhaseAuth, Host: "box", Err: context.DeadlineExceeded}
		nobody  = &gateway.PhaseError{Phase: gateway.PhaseConnect, Host: "box", Err: &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}}
		mute    = &hosts.Error{Err: &gateway.LostError{Gateway: "gw", Cause: silent.Err}}
		reset   = &gateway.PhaseError{Phase: gateway.PhaseHostKey, Host: "box", Err: fmt.Errorf("handshake failed: %w", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})}
		cut     = &gateway.PhaseError{Phase: gateway.PhaseUpload, Host: "box", Err: io.EOF}
		noShell = &gateway.PhaseError{Phase: gateway.PhaseProbe, Host: "box", Err: io.EOF, Stderr: "This account is closed.\n"}
		exited  = &gateway.PhaseError{Phase: gateway.PhaseProbe, Host: "box", Err: io.EOF, Status: "exit status 1"}
		wayLost = &gateway.LostError{Gateway: "proxy", Cause: errors.New("EOF")}

		here, joiner, via = xspec.Spec{Popen: true}, xspec.Spec{Listen: ":1"}, xspec.Spec{Popen: true, Via: "proxy"}
	)
	for _, c := range []struct {
		name string
		n    node
		err  error
		run  *controller
		want gatewayEnd
	}{
		{"ended in order", node{spec: here, ready: true}, nil, &controller{}, endWanted},
		{"lost", node{spec: here, ready: true}, lost, &controller{}, endDeath},
		{"lost, and may be missing", node{spec: here, ready: true}, lost, &controller{cfg: Config{AllowMissing: true}}, endDeath},
		{"lost while the run stops", node{spec: here, ready: true}, lost, &controller{closure: closure{stopped: "why"}}, endDeath},
		{"a joiner was lost", node{spec: joiner, ready: true}, lost, &controller{}, endWanted},
		{"its way was lost", node{spec: via, ready: true}, wayLost, &controller{}, endOnTheWay},
		{"its host is full", node{spec: here, ready: true}, full, &controller{}, endUnfit},
		{"a joiner's host is full", node{spec: joiner, ready: true}, full, &controller{}, endUnfit},
		{"never opened", node{spec: here}, refused, &controller{}, endHopeless},
		{"its host was full at once", node{spec: here}, full, &controller{}, endHopeless},
		{"never opened, and may be missing", node{spec: here}, refused, &controller{cfg: Config{AllowMissing: true}}, endWanted},
		{"never opened while the run stops", node{spec: here}, refused, &controller{closure: closure{stopped: "why"}}, endWanted},
		{"a joiner that never answered", node{spec: joiner}, refused, &controller{}, endWanted},
		{"never opened, its way was lost", node{spec: via}, wayLost, &controller{}, endOnTheWay},
		{"a replacement that never opened", node{spec: here, replaces: "gw"}, refused, &controller{}, endVanished},
		{"its host fell silent before it answered", node{spec: here}, silent, &controller{}, endVanished},
		{"its host took the connection and said nothing", node{spec: here}, late, &controller{}, endVanished},
		{"its agent fell silent before its worker answered", node{spec: here}, mute, &controller{}, endVanished},
		{"its host was silent twice", node{spec: here, pause: 1}, silent, &controller{}, endHopeless},
		{"its host was silent, and may be missing", node{spec: here}, silent, &controller{cfg: Config{AllowMissing: true}}, endVanished},
		{"its host was silent twice, and may be missing", node{spec: here, pause: 1}, silent, &controller{cfg: Config{AllowMissing: true}}, endWanted},
		{"its host fell silent while the run stops", node{spec: here}, silent, &controller{closure: closure{stopped: "why"}}, endWanted},
		{"its host let go of the connection at once", node{spec: here}, reset, &controller{}, endVanished},
		{"its host let go of the connection later", node{spec: here}, cut, &controller{}, endVanished},
		{"its host let go of the connection twice", node{spec: here, pause: 1}, cut, &controller{}, endHopeless},
		{"its host said why it ended", node{spec: here}, noShell, &controller{}, endHopeless},
		{"its shell has ended", node{spec: here}, exited, &controller{}, endHopeless},
		{"its host takes no connection", node{spec: here}, nobody, &controller{}, endHopeless},
		{"killed before it answered", node{spec: here}, killed, &controller{}, endDeath},
	} {
		if got := c.run.endOf(&c.n, c.err); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

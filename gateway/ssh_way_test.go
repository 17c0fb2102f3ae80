package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"testing"

	"github.com/xdist-go/xdist/internal/sshclient"
)

// failingOrigin is an origin of which nothing comes but an error.
type failingOrigin struct {
	origin
	err error
}

func (o failingOrigin) dialNet(context.Context, string) (net.Conn, error) { return nil, o.err }
func (o failingOrigin) dialTCP(context.Context, string) (net.Conn, error) { return nil, o.err }

// What an origin says of a connection comes through ssh as it was.
func TestSSHErrorsArePublic(t *testing.T) {
	for _, phase := range []Phase{PhaseResolve, PhaseConnect} {
		want := &PhaseError{Phase: phase, Host: "box", Status: "exit status 1", Stderr: "no way\n", Err: fmt.Errorf("dial: %w", ErrHostNotFound)}
		_, err := sshWay{failingOrigin{err: want}}.DialTCP(t.Context(), "box:22")
		if err.Error() != want.Error() {
			t.Errorf("ssh says %q, want %q", err, want)
		}
		got, ok := publicError(err).(*PhaseError)
		if !ok || !reflect.DeepEqual(got, want) || !errors.Is(got, ErrHostNotFound) {
			t.Errorf("got %#v, want %#v", got, want)
		}
	}
	for ours, public := range map[sshclient.Phase]Phase{sshclient.PhaseResolve: PhaseResolve, sshclient.PhaseConnect: PhaseConnect, sshclient.PhaseHostKey: PhaseHostKey, sshclient.PhaseAuth: PhaseAuth} {
		var e *PhaseError
		if err := publicError(&sshclient.Error{Phase: ours, Err: net.ErrClosed}); !errors.As(err, &e) || e.Phase != public {
			t.Errorf("%s is %v in public, want phase %s", ours, err, public)
		}
	}
	for _, err := range []error{nil, context.Canceled} {
		if got := publicError(err); got != err {
			t.Errorf("got %v, want %v", got, err)
		}
	}
}

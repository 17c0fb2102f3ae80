package scheduler

import (
	"errors"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/xspec"
)

// proxyFailed says that a gateway that others were to go through could not be opened.
type proxyFailed struct{ err error }

// openProxies opens the gateways that have no worker. The nodes that go through them wait for them,
// in their own goroutines.
func (c *controller) openProxies(specs []xspec.Spec) {
	for _, spec := range specs {
		c.wait.Go(func() {
			if _, err := c.cfg.Group.OpenSpec(c.ctx, spec); err != nil {
				c.post(proxyFailed{err})
			}
		})
	}
}

// handleProxyFailed ends the run: somebody has asked for the proxy because nodes cannot be reached
// without it.
func (c *controller) handleProxyFailed(err error) {
	if c.stopped == "" {
		c.fatal = err
		c.stop(err.Error())
	}
}

// lostOnTheWay reports whether the gateway that spec goes through was lost, as err says. Nothing
// that goes through it can be opened again.
func lostOnTheWay(spec xspec.Spec, err error) bool {
	for {
		lost, ok := errors.AsType[*gateway.LostError](err)
		if !ok {
			return false
		}
		if lost.Gateway == spec.Via || lost.Gateway == spec.InstallVia {
			return true
		}
		err = lost.Cause
	}
}

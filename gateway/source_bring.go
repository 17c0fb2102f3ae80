package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/xdist-go/xdist/internal/cmdline"
	"github.com/xdist-go/xdist/xspec"
)

// programSpec names the gateway to a program of RunSource in messages, and says that it goes
// through gw.
func (gw *Gateway) programSpec() (xspec.Spec, error) {
	spec, err := xspec.Parse("popen//via=" + gw.ID())
	if err != nil {
		return spec, err
	}
	return spec.WithID(gw.ID() + ".source")
}

// isHere reports whether the agent is on this host: then it can start a file of this side, as a
// rule.
func (gw *Gateway) isHere() bool {
	for gw.spec.Popen && gw.spec.Via != "" {
		relay, ok := gw.group.Lookup(gw.spec.Via)
		if !ok {
			return false
		}
		gw = relay
	}
	return gw.spec.Popen
}

// wrapper is what runs programs of the agent's platform where that is not the host's.
func (gw *Gateway) wrapper() []string {
	for {
		if gw.spec.GOOS != "" || gw.spec.GOARCH != "" {
			return gw.spec.ExecWords()
		}
		relay, ok := gw.group.Lookup(gw.spec.Via)
		if !gw.spec.Popen || !ok {
			return nil
		}
		gw = relay
	}
}

// bringProgram starts the program beside the agent, and brings it there before.
func (gw *Gateway) bringProgram(ctx context.Context, agent Agent) (*endpoint, error) {
	if !gw.isHere() {
		return gw.sendProgram(ctx, agent)
	}
	req := startRequest{Args: slices.Concat(gw.wrapper(), []string{agent.Path}, agent.Args)}
	l, err := relayOrigin{gw}.startProcess(ctx, req, markAgent(nil))
	if _, refused := errors.AsType[*relayedError](err); !refused {
		return l, err
	}
	if l, sendErr := gw.sendProgram(ctx, agent); sendErr == nil { // the agent is in a container, or another user's
		return l, nil
	}
	return nil, err
}

// sendProgram has a shell beside the agent become the program, as one becomes an agent, and sends
// the program when it is missing there.
func (gw *Gateway) sendProgram(ctx context.Context, agent Agent) (*endpoint, error) {
	info, err := os.Stat(agent.Path)
	if err != nil {
		return nil, err
	}
	h := gw.group.cfg.hosts
	b := newBootstrap(h, fmt.Sprintf("source on %q", gw.ID()), gw.ID(), xspec.Spec{})
	b.goos, b.goarch, b.wrapper = gw.Info().GOOS, gw.Info().GOARCH, gw.wrapper()
	known := h.agents.known(agent, info.Size())
	b.program = &known
	args := []string{"sh"}
	if gw.Info().GOOS == "windows" {
		b.shell = powerShell()
		if args, err = cmdline.Split(powerShellCommand(), false); err != nil {
			return nil, err
		}
		return b.open(ctx, func(ctx context.Context) (*endpoint, bool, error) {
			l, err := relayOrigin{gw}.start(ctx, command{args: args})
			return l, false, err
		})
	}
	return b.open(ctx, shellOn(relayOrigin{gw}, args, gw.ID()))
}

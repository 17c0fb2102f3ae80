package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest/unit"
	"github.com/xdist-go/xdist/scheduler/event"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/policy"
	"github.com/xdist-go/xdist/xspec"
)

// gatewayEnd is how a gateway ended, as far as something hangs on it.
type gatewayEnd int

const (
	endWanted   gatewayEnd = iota // it was told, or left by itself, or may be missing: nothing is wrong
	endOnTheWay                   // what it goes through was lost, and nothing can be opened that way
	endUnfit                      // its host cannot be given what a unit needs: no gateway there would fare better
	endDeath                      // it died, or was killed before it answered: another may live
	endVanished                   // its host has worked, or has answered, and cannot be reached: nothing is wrong with the spec, and it is tried once more
	endHopeless                   // it cannot be opened, and the user has to know
)

// endOf tells how n ended, from its error.
func (c *controller) endOf(n *node, err error) gatewayEnd {
	_, unfit := errors.AsType[*hosts.Error](err)
	switch {
	case n.ready && unfit:
		return endUnfit
	case lostOnTheWay(n.spec, err):
		return endOnTheWay
	case err == nil, n.joined():
		return endWanted
	case n.ready:
		return endDeath
	case c.stopped == "" && n.pause == 0 && brokeOff(err):
		return endVanished
	case c.stopped != "", c.cfg.AllowMissing:
		return endWanted
	case !hopeless(err):
		return endDeath
	case n.replaces != "":
		return endVanished
	}
	return endHopeless
}

// handleDown takes the loss or the end of a gateway. What it ran is concluded as for a process that
// died, with the gateway's error for a reason, and one that died is replaced. The run ends with one
// that nobody can open.
func (c *controller) handleDown(n *node, err error) {
	err = n.loss(err)
	if err == nil && n.job != nil {
		err = fmt.Errorf("the worker ended in the middle of a unit")
	}
	c.forget(n, err)
	end := c.endOf(n, err)
	if n.ready {
		c.removeFromPolicy(n, end, err)
	}
	if n.pool != nil && n.pool.nodes == 0 {
		c.giveUpIdle(n.pool, "no gateway is left for it")
	}
	switch end {
	case endHopeless:
		c.fatal = err
		c.stop(err.Error())
		return
	case endVanished:
		if n.pause > 0 {
			c.emit(event.Warning{Text: fmt.Sprintf("gateway %s is not replaced: its host cannot be reached", n.replaces)})
		}
	}
	if c.stopped != "" {
		return
	}
	switch {
	case end == endDeath:
		c.replaceDead(n)
	case end == endVanished && n.pause == 0:
		c.replace(n, n.replaces, c.backOff) // a second failure of one that replaces nobody ends the run
	}
	if c.replay != nil {
		c.replay.move(n.id, "") // unless another has them already
	}
	c.dropUnused()
	c.endStranded()
}

// forget takes n, which has ended, from the nodes and says so.
func (c *controller) forget(n *node, err error) {
	delete(c.nodes, n.id)
	c.idle = slices.DeleteFunc(c.idle, func(other *node) bool { return other == n })
	c.slots.release(n.id)
	n.finish()
	n.gw, n.builder = nil, nil // what it has said may be kept for long, and its connection need not
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	c.last = fmt.Sprintf("%s, ended: %s", n.id, reason)
	if n.pool != nil {
		n.pool.nodes--
		n.pool.last = c.last
	}
	c.emit(event.GatewayDown{Time: time.Now(), Gateway: n.id, Reason: reason})
}

// replaceDead opens a gateway in n's place while there is work and --max-worker-restart allows it.
func (c *controller) replaceDead(n *node) {
	if n.pool != nil && n.pool.policy.Done() || c.restart >= c.cfg.MaxWorkerRestart {
		return
	}
	c.restart++
	c.replace(n, n.id, 0)
}

// hopeless reports whether a gateway that could not be opened ends the run. An agent that was
// killed before it answered is replaced like any other, as often as --max-worker-restart allows;
// everything else is a mistake in a spec or on a host, which the user has to know of.
func hopeless(err error) bool {
	var (
		start  *gateway.StartError
		lost   *gateway.LostError
		status string
	)
	if errors.As(err, &start) {
		status = start.Status
	} else if errors.As(err, &lost) {
		status = lost.Status
	}
	return !strings.HasPrefix(status, "signal: ")
}

// brokeOff reports whether a gateway could not be opened because a host that had taken its
// connection did not answer any more, or nothing but beats, or let go of it, as a server does that
// has too many. The next connection may be answered. A host that takes none, and a mistake in a
// spec, is told at once.
func brokeOff(err error) bool {
	op, onConn := errors.AsType[*net.OpError](err)
	if onConn && op.Op == "dial" && !errors.Is(err, syscall.ECONNRESET) {
		return false
	}
	if errors.Is(err, gateway.ErrLease) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, hosts.ErrSilent) {
		return true
	}
	far, ok := errors.AsType[*gateway.PhaseError](err)
	if !ok || far.Status+strings.TrimSpace(far.Stderr) != "" { // what has ended there says why
		return false
	}
	return onConn || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// replace opens a gateway like n after a pause, in place of the one with the id. It has a new id:
// ids are never used again.
func (c *controller) replace(n *node, id string, pause time.Duration) {
	spec, err := xspec.Parse(withoutID(n.spec))
	if err == nil {
		spec, err = c.cfg.Group.Allocate(spec)
	}
	if err != nil {
		c.emit(event.Warning{Text: fmt.Sprintf("replace gateway %s: %v", id, err)})
		return
	}
	if c.replay != nil {
		c.replay.move(n.id, spec.ID)
	}
	c.begin(&node{id: spec.ID, spec: spec, pool: n.pool, replaces: id, pause: pause})
}

// removeFromPolicy ends what n ran and takes n from its pool's policy.
func (c *controller) removeFromPolicy(n *node, end gatewayEnd, err error) {
	j, id, books := n.job, policy.NodeID(n.id), n.pool.policy
	if j == nil {
		books.RemoveNode(id, nil)
		return
	}
	how := jobEnd{kind: endLost, failed: true, how: "its gateway ended: "}
	if err != nil {
		how.how += err.Error()
	}
	how.how = strings.Replace(how.how, "ended: gateway "+n.id+" is lost", "is lost", 1) // which one, others say
	if j.signalled || fateUnknown(err) {
		how.kind = endSilent
	}
	if it := j.items[j.latest]; it != nil && it.phase == phaseRunning && !j.signalled {
		how.culprit = j.latest
	}
	if end == endUnfit || c.replay != nil && (fateUnknown(err) || len(j.items) == 0) && c.mayRetry(j) {
		how.kind = endUnsaid // nothing is said about the unit
		c.putBack(n)
	}
	if j.pkg.lost++; how.kind == endUnsaid && len(j.unit.Items) == 0 || len(j.unit.Items) == 0 && j.pkg.lost == 1 {
		c.release(n, func() { books.RemoveNode(id, nil) })
		return
	}
	outcome := j.errand.end(c, n, how, nil)
	if len(j.unit.Items) == 0 {
		j.pkg.takeResult(unit.Result{Failed: true, ExitCode: -1, Err: how.how}, nil, false)
	}
	c.release(n, func() { books.RemoveNode(id, &outcome) })
}

// fateUnknown reports whether a gateway was lost in a way that says nothing about its agent: its
// host has fallen silent, or the connection broke. That is rarely a test's doing.
func fateUnknown(err error) bool {
	lost, ok := errors.AsType[*gateway.LostError](err)
	return ok && lost.Status == ""
}

// mayRetry reports whether a unit of a replay whose agent was lost may run once more. The second
// time somebody has to be blamed.
func (c *controller) mayRetry(j *job) bool {
	for _, i := range j.unit.Items {
		if j.pkg.attempts[i] > 1 {
			return false
		}
	}
	return len(j.unit.Items) > 0 || j.pkg.units <= 1
}

package timeline

import (
	"time"

	"github.com/xdist-go/xdist/scheduler/event"
)

// StepKind is what a step is.
type StepKind uint8

// The kinds.
const (
	Connect StepKind = iota // to a gateway
	Collect                 // what there is to run on a platform
	Build                   // a package for a platform, in so far as none of it was built sooner
	Send                    // files and binaries to a host
)

var stepKinds = [...]string{"connect", "collect", "build", "send"}

// String is a verb.
func (k StepKind) String() string { return stepKinds[k] }

// Step is something that is done so that tests can run.
type Step struct {
	Kind     StepKind
	Of       string // the gateway that is connected to, the platform, or the host that is sent to
	Host     string // on which it is done; of Connect and Send the far one
	Package  string // of Build
	Bytes    int64  // of Send
	From, To time.Duration
	Failed   bool // of Build: there is nothing to run
}

const (
	// stepsKept is how many steps are kept of each kind.
	stepsKept = 10_000
	// shortStep is what a build may take that is left out: its binary was there.
	shortStep = time.Millisecond
	// sendGap is how long nothing may be sent to a host within one step.
	sendGap = time.Second
)

// stepper knows of steps that have begun.
type stepper struct {
	controller string                   // its host
	opening    map[string]time.Duration // gateways, when they began to be connected to
	built      map[string]time.Duration // platforms, up to when it is known what they were at
	sending    map[string]sending       // by host
	kept       [len(stepKinds)]int
}

// sending is what is known of the last step that sent something to a host.
type sending struct {
	step          int   // its place, or -1 when it was not kept
	before, total int64 // bytes that had been sent when it began, and until now
	last          time.Duration
}

// step takes an event that may begin or end one.
func (t *Timeline) step(e event.Event) {
	s := &t.stepper
	if s.opening == nil {
		s.opening, s.built, s.sending = map[string]time.Duration{}, map[string]time.Duration{}, map[string]sending{}
	}
	switch e := e.(type) {
	case event.GatewayOpening:
		s.opening[e.Gateway] = t.Since(e.Time)
	case event.GatewayUp:
		if from, ok := s.opening[e.Gateway]; ok {
			t.keep(Step{Kind: Connect, Of: e.Gateway, Host: e.Hostname, From: from, To: t.Since(e.Time)})
			delete(s.opening, e.Gateway)
		}
	case event.Collected:
		if _, ok := s.built[e.Platform]; !ok && !e.Time.IsZero() {
			s.built[e.Platform] = t.Since(e.Time)
			t.keep(Step{Kind: Collect, Of: e.Platform, Host: s.controller, To: t.Since(e.Time)})
		}
	case event.Built:
		b := Step{Kind: Build, Of: e.Platform, Host: s.controller, Package: e.Package, From: s.built[e.Platform], To: t.Since(e.Time), Failed: !e.Ready}
		if s.built[e.Platform] = b.To; b.To-b.From >= shortStep {
			t.keep(b)
		}
	case event.Sending:
		t.send(e)
	}
}

// send makes the step longer that sends to a host, or begins another one.
func (t *Timeline) send(e event.Sending) {
	at := t.Since(e.Time)
	now, ok := t.stepper.sending[e.Hostname]
	if !ok || at-now.last > sendGap {
		now = sending{step: t.keep(Step{Kind: Send, Of: e.Hostname, Host: e.Hostname, From: at}), before: now.total}
	}
	now.last, now.total = at, e.Bytes
	if now.step >= 0 {
		t.Steps[now.step].To, t.Steps[now.step].Bytes = at, now.total-now.before
	}
	t.stepper.sending[e.Hostname] = now
}

// keep keeps a step and returns its place, or -1 when there are too many.
func (t *Timeline) keep(s Step) int {
	if n := &t.stepper.kept[s.Kind]; *n < stepsKept {
		*n++
		t.Steps = append(t.Steps, s)
		return len(t.Steps) - 1
	}
	return -1
}

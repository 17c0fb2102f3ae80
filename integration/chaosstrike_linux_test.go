package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// markedProcess is a process of a round, found by the mark in its environment.
type markedProcess struct {
	pid  int
	argv []string
}

// marked are the processes that have a mark in their environment. Those that have ended have none.
func marked(t *testing.T, mark string) []markedProcess {
	t.Helper()
	var all []markedProcess
	for pid := range processes(t) {
		if argv, ok := isMarked(pid, mark); ok {
			all = append(all, markedProcess{pid, argv})
		}
	}
	slices.SortFunc(all, func(a, b markedProcess) int { return a.pid - b.pid })
	return all
}

func isMarked(pid int, mark string) (argv []string, ok bool) {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+mark+"\x00")) {
		return nil, false
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(line) == 0 {
		return nil, false
	}
	return strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"), true
}

// role is whom a process is struck as.
func (p markedProcess) role() string {
	base := filepath.Base(p.argv[0])
	switch {
	case strings.HasSuffix(base, ".test"):
		return "test"
	case slices.Contains([]string{"go", "compile", "link", "asm", "vet"}, base):
		return "build"
	case len(p.argv) < 2:
		return ""
	case p.argv[1] == "handoff":
		return "build"
	case p.argv[1] == "agent", p.argv[1] == "join": // join has the agent's connection
		return "agent"
	}
	return ""
}

// tool tells the processes of a build apart.
func (p markedProcess) tool() string { return filepath.Base(p.argv[0]) }

// sessionsOf are the processes below the listening one of an sshd, in order.
func sessionsOf(t *testing.T, server int) []int {
	t.Helper()
	var all []int
	for _, pid := range familyOf(t, server)[1:] {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil && strings.HasPrefix(string(comm), "sshd") {
			all = append(all, pid)
		}
	}
	slices.Sort(all)
	return all
}

// stopped is a process that was stopped.
type stopped struct {
	fd   int       // of the process, not of its number
	goOn time.Time // zero is never
}

// striker strikes the processes of one run. Its goroutine owns it, and the plan's random numbers,
// until loop has returned.
type striker struct {
	w    *chaosWorld
	run  *chaosRun
	left int // strikes to come

	nextEvent int64
	nextTime  time.Time // zero before a victim was seen
	tool      string    // of the build, that is struck next; "" is any
	frozen    time.Time // when the connections were frozen
}

// chaosPoll is how often a striker looks whether it is time.
const chaosPoll = 3 * time.Millisecond

// loop strikes until the run is over.
func (s *striker) loop(ctx context.Context) {
	s.left, s.nextEvent = s.w.plan.most, s.w.plan.rand.Int64N(400) // a run has 800 at least
	s.drawTool()
	tick := time.NewTicker(chaosPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.resume(now)
			if s.left > 0 && s.due(now) && s.strike() {
				s.left--
				s.w.strikes++
				s.next()
			}
		}
	}
}

// due reports whether it is time for a strike. Builds tell no events.
func (s *striker) due(now time.Time) bool {
	p := s.w.plan
	if !p.byClock && p.victim != "build" {
		return s.run.events.Load() >= s.nextEvent
	}
	if s.nextTime.IsZero() {
		if len(s.victims()) == 0 {
			return false
		}
		first := 500 * time.Millisecond // a quick run has little more
		switch {
		case p.victim == "build":
			first = 1500 * time.Millisecond
		case p.slow && p.victim != "test":
			first = 3 * time.Second
		}
		s.nextTime = now.Add(time.Duration(p.rand.Int64N(int64(first))))
	}
	return now.After(s.nextTime)
}

// next says when the next strike comes.
func (s *striker) next() {
	r := s.w.plan.rand
	s.nextEvent = s.run.events.Load() + 1 + r.Int64N(40)
	s.nextTime = time.Now().Add(20*time.Millisecond + time.Duration(r.Int64N(int64(500*time.Millisecond))))
	s.drawTool()
}

func (s *striker) drawTool() { s.tool = []string{"", "go", "compile", "link"}[s.w.plan.rand.IntN(4)] }

// victims are the processes that may be struck now.
func (s *striker) victims() []int {
	w := s.w
	switch w.plan.victim {
	case "controller":
		return []int{s.run.cmd.Process.Pid}
	case "session":
		return sessionsOf(w.t, w.server.Pid())
	case "connection":
		if w.proxy.connections() > 0 {
			return []int{0}
		}
		return nil
	}
	var pids []int
	for _, p := range marked(w.t, w.mark()) {
		if p.role() == w.plan.victim && (s.tool == "" || w.plan.victim != "build" || p.tool() == s.tool) {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// strike strikes one of the victims, and reports whether there was one.
func (s *striker) strike() bool {
	victims := s.victims()
	if len(victims) == 0 {
		return false
	}
	if s.w.plan.victim == "connection" {
		return s.freeze()
	}
	pid := victims[s.w.plan.rand.IntN(len(victims))]
	return s.send(pid, s.w.plan.signal)
}

// send sends a signal to a process, if it is still the one that was found.
func (s *striker) send(pid int, signal unix.Signal) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false // it has ended
	}
	if !s.still(pid) || unix.PidfdSendSignal(fd, signal, nil, 0) != nil {
		unix.Close(fd)
		return false
	}
	if signal != unix.SIGSTOP {
		unix.Close(fd)
		return true
	}
	v := stopped{fd: fd}
	if s.w.plan.resume > 0 {
		v.goOn = time.Now().Add(s.w.plan.resume)
	}
	s.w.stopped = append(s.w.stopped, v)
	return true
}

// still reports whether a process, of which a descriptor is held, is one of the round.
func (s *striker) still(pid int) bool {
	if s.w.plan.victim == "session" || s.w.plan.signal == 0 {
		return slices.Contains(sessionsOf(s.w.t, s.w.server.Pid()), pid)
	}
	_, ok := isMarked(pid, s.w.mark())
	return ok
}

// freeze freezes all connections that there are, and no later ones.
func (s *striker) freeze() bool {
	s.frozen = time.Now()
	if s.w.plan.freeze != "stopped" {
		s.w.proxy.freeze(s.w.plan.freeze == "dropped")
		return true
	}
	some := false
	for _, pid := range sessionsOf(s.w.t, s.w.server.Pid()) {
		some = s.send(pid, unix.SIGSTOP) || some
	}
	return some
}

// resume lets go on what is due.
func (s *striker) resume(now time.Time) {
	s.w.stopped = slices.DeleteFunc(s.w.stopped, func(v stopped) bool {
		if v.goOn.IsZero() || now.Before(v.goOn) {
			return false
		}
		v.goesOn(s.w.t)
		return true
	})
	if r := s.w.plan.resume; s.w.proxy != nil && r > 0 && !s.frozen.IsZero() && now.After(s.frozen.Add(r)) {
		s.frozen = time.Time{}
		s.w.proxy.thaw()
	}
}

// goesOn lets a process go on that was stopped, if it has not ended.
func (v stopped) goesOn(t *testing.T) {
	t.Helper()
	if err := unix.PidfdSendSignal(v.fd, unix.SIGCONT, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		t.Error(err)
	}
	if err := unix.Close(v.fd); err != nil {
		t.Error(err)
	}
}

package gateway

import (
	"bytes"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// reap waits until the process has ended, ends what it has left behind while the id is still its
// own, and reaps it.
func (p *popenProcess) reap() error {
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.endTree()
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.cmd.Wait()
	p.reaped = true
	return err
}

// endTree kills the session: again and again, because a process may fork while the list is read,
// until only dead ones are left. What has made a session of its own escapes.
func (p *popenProcess) endTree() {
	p.group.Kill()
	for range sessionPasses {
		if !killSession(p.cmd.Process.Pid) {
			return
		}
	}
}

// sessionPasses bounds the hunt for processes that fork faster than they are killed.
const sessionPasses = 20

// killSession kills the living members of a session and reports whether there were any.
func killSession(sid int) (found bool) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		session, dead, ok := sessionOf(pid)
		if ok && session == sid && !dead {
			found = true
			unix.Kill(pid, unix.SIGKILL) // it may have ended
		}
	}
	return found
}

// sessionOf reads the session id of a process from /proc/pid/stat, and whether it has ended.
func sessionOf(pid int) (sid int, dead, ok bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false, false
	}
	// The command's name may hold spaces and parentheses; it ends at the last one.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 4 {
		return 0, false, false
	}
	sid, err = strconv.Atoi(string(fields[3]))
	state := fields[0][0]
	return sid, state == 'Z' || state == 'X', err == nil
}

// pipeSize is the size in bytes of the pipes to and from an agent, which is what an unprivileged
// process may ask for by default. The usual 64 KiB cost a switch between the processes too often.
const pipeSize = 1 << 20

// growPipe makes the pipe larger if it can.
func growPipe(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) }) // a wish
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/xdist-go/xdist/internal/lockfile"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// background is where the server is written down that runs in the background for this user: one at
// most. It holds a lock as long as it lives, so that what a killed one has left is known for that.
type background struct{ dir string }

// backgroundState is what a server says of itself.
type backgroundState struct {
	Pid    int
	Addr   string    // that it serves on
	As     string    // whom it serves, as its first line says
	Since  time.Time // it has served
	Agents int       // that run, one for each gateway
}

func (s backgroundState) String() string {
	word := "gateways"
	if s.Agents == 1 {
		word = "gateway"
	}
	return fmt.Sprintf("pid %d on %s %s, since %s (%v), %d %s", s.Pid, s.Addr, s.As, s.Since.Format(time.DateTime), time.Since(s.Since).Round(time.Second), s.Agents, word)
}

const (
	// startWait is how long a server may take to serve, and to write down that it does.
	startWait = 20 * time.Second
	// stopWait is how long a server gets to end its agents before it is killed. They end then,
	// because nobody is at the other end of their input.
	stopWait = 20 * time.Second
	// killedWait is how long a server may take to be gone when it was killed.
	killedWait = 5 * time.Second
	// backgroundPoll is how often it is looked whether another process has come to something.
	backgroundPoll = 20 * time.Millisecond
	// claimTries is how often a server asks for a place that is taken.
	claimTries = 25
	// maxBackgroundLog is the size in bytes at which the log begins anew.
	maxBackgroundLog = 1 << 20
)

var errNoBackground = errors.New("no server of this user runs in the background: xdist serve --start starts one")

// openBackground makes the directory when it is missing.
func openBackground() (background, error) {
	const name = "serve"
	if cache := os.Getenv("XDIST_CACHE"); cache != "" {
		dir, err := ownfile.MakeIn(cache, name)
		return background{dir}, err
	}
	dir, err := ownfile.UserCache(name)
	return background{dir}, err
}

func (b background) lock() *flock.Flock { return lockfile.Private(filepath.Join(b.dir, "lock")) }
func (b background) stateFile() string  { return filepath.Join(b.dir, "state.json") }
func (b background) logFile() string    { return filepath.Join(b.dir, "log") }

// claim makes this process the server in the background. release ends that.
func (b background) claim(ctx context.Context) (release func(), err error) {
	l := b.lock()
	err = lockfile.Try(l)
	for range claimTries { // somebody may just be looking
		if !errors.Is(err, lockfile.ErrLocked) {
			break
		}
		select {
		case <-time.After(backgroundPoll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		err = lockfile.Try(l)
	}
	if errors.Is(err, lockfile.ErrLocked) {
		return nil, b.taken(ctx)
	}
	if err != nil {
		return nil, err
	}
	os.Remove(b.stateFile()) // that of one that was killed
	return func() {
		os.Remove(b.stateFile())
		lockfile.Remove(l) // on Windows who looks at it keeps it there, which says nothing
	}, nil
}

// taken says which server there is already.
func (b background) taken(ctx context.Context) error {
	s, err := b.find(ctx)
	if err != nil {
		return fmt.Errorf("a server of this user runs in the background already: %w", err)
	}
	return fmt.Errorf("a server of this user runs in the background already: %v; xdist serve --stop ends it", s)
}

// find returns what the server says of itself, or errNoBackground. What a killed one has left is
// removed. One that begins is waited for.
func (b background) find(ctx context.Context) (s backgroundState, err error) {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		if release, ok, err := b.vacant(); err != nil {
			return s, err
		} else if ok {
			release()
			return s, errNoBackground
		}
		text, err := ownfile.Read(b.stateFile(), 64<<10)
		if err == nil {
			return s, json.Unmarshal(text, &s)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return s, err
		}
		select {
		case <-time.After(backgroundPoll):
		case <-ctx.Done():
			return s, fmt.Errorf("it has not begun to serve: %w", ctx.Err())
		}
	}
}

// vacant reports whether there is no server, and claims its place then.
func (b background) vacant() (release func(), ok bool, err error) {
	l := b.lock()
	switch err := lockfile.Try(l); {
	case err == nil:
		os.Remove(b.stateFile())
		return func() { lockfile.Remove(l) }, true, nil
	case errors.Is(err, lockfile.ErrLocked):
		return nil, false, nil
	default:
		return nil, false, err
	}
}

// tell writes down what the server says of itself, in one step for those who read it.
func (b background) tell(s backgroundState) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temp := b.stateFile() + ".new" // only the holder of the lock writes it
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, b.stateFile())
}

// start starts a server with these arguments in the background, and returns what it says first.
func (b background) start(ctx context.Context, args []string) (said string, err error) {
	if ok, err := b.awaitVacant(ctx, claimTries*backgroundPoll); err != nil { // one may just have ended
		return "", err
	} else if !ok {
		return "", b.taken(ctx)
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find own executable: %w", err)
	}
	log, err := ownfile.OpenFile(b.logFile(), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return "", err
	}
	defer log.Close()
	old, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr, cmd.SysProcAttr = log, detached()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start a server: %w", err)
	}
	late := time.AfterFunc(startWait, func() { cmd.Process.Kill() })
	defer late.Stop()
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	said, err = bufio.NewReader(out).ReadString('\n')
	if err == nil && late.Stop() && stop() {
		return said, errors.Join(out.Close(), cmd.Process.Release())
	}
	cmd.Process.Kill() // it may be about to end by itself
	err = cmd.Wait()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	text, _ := io.ReadAll(io.NewSectionReader(log, old, 64<<10)) // what there is
	return "", fmt.Errorf("start a server: %v: %s", err, strings.TrimPrefix(string(bytes.TrimSpace(text)), "xdist: "))
}

// stop ends the server and what it serves, and returns what it was.
func (b background) stop(ctx context.Context) (backgroundState, error) {
	s, err := b.find(ctx)
	if err != nil {
		return s, err
	}
	p, err := os.FindProcess(s.Pid)
	if err != nil {
		return s, fmt.Errorf("end the server with pid %d: %w", s.Pid, err)
	}
	defer p.Release()
	for _, step := range []struct {
		end  func(*os.Process) error
		wait time.Duration
	}{{askToEnd, stopWait}, {(*os.Process).Kill, killedWait}} {
		if err := step.end(p); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return s, fmt.Errorf("end the server with pid %d: %w", s.Pid, err)
		}
		if gone, err := b.awaitVacant(ctx, step.wait); gone || err != nil {
			return s, err
		}
	}
	return s, fmt.Errorf("the server with pid %d was killed and is still there", s.Pid)
}

// awaitVacant waits until there is no server, but no longer than d.
func (b background) awaitVacant(ctx context.Context, d time.Duration) (bool, error) {
	late := time.NewTimer(d)
	defer late.Stop()
	for {
		release, ok, err := b.vacant()
		if ok {
			release()
		}
		if ok || err != nil {
			return ok, err
		}
		select {
		case <-time.After(backgroundPoll):
		case <-late.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// boundedLog is a file that begins anew when it is large. It is open for appending.
type boundedLog struct{ f *os.File }

// Write implements io.Writer.
func (l boundedLog) Write(p []byte) (int, error) {
	if info, err := l.f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > maxBackgroundLog {
		l.f.Truncate(0) // else it grows on
	}
	return l.f.Write(p)
}

package sshclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os/exec"
	"strings"
	"sync"

	"github.com/xdist-go/xdist/internal/turns"
)

// lookup finds out what the configuration says of hosts, and warns. It asks once for each
// destination, and gives each warning once. Its methods may be called concurrently.
type lookup struct {
	logger *slog.Logger // nil is for nobody
	asking turns.Turns  // by destination

	mu    sync.Mutex // guards the fields below
	found map[string]Host
	told  map[string]bool // what was said, or is not to be done again
}

// host says how to reach the target.
func (l *lookup) host(ctx context.Context, t Target) (Host, error) {
	key := fmt.Sprintf("%+v", t)
	_, pass, err := l.asking.Take(ctx, key)
	if err != nil {
		return Host{}, err
	}
	defer pass()
	l.mu.Lock()
	h, ok := l.found[key]
	l.mu.Unlock()
	if ok {
		return h, nil
	}
	if h, err = l.resolve(ctx, t, 0); err != nil {
		return h, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.found == nil {
		l.found = make(map[string]Host)
	}
	l.found[key] = h
	return h, nil
}

// first reports whether it is asked for the first time about this.
func (l *lookup) first(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told[what] {
		return false
	}
	if l.told == nil {
		l.told = make(map[string]bool)
	}
	l.told[what] = true
	return true
}

// warn tells the user, once.
func (l *lookup) warn(text string) {
	if l.logger != nil && l.first(text) {
		l.logger.Warn(text)
	}
}

// settings are those of a target: OpenSSH's own answer, or what its files say where it is not
// installed.
func (l *lookup) settings(ctx context.Context, t Target) (settings, string, error) {
	if program, err := exec.LookPath("ssh"); err == nil && isOpenSSH(ctx, program) {
		home, err := accountHome()
		if err != nil {
			return nil, "", err
		}
		if f, err := openFile(t.ConfigFile); err == nil {
			f.Close()
		} else if t.ConfigFile != "" && !errors.Is(err, fs.ErrNotExist) { // ssh would wait for a FIFO
			return nil, "", fmt.Errorf("read the ssh configuration: %w", err)
		}
		s, err := askSSH(ctx, program, t)
		return s, home, err
	}
	f, err := readFiles(t)
	if err != nil {
		return nil, "", err
	}
	if len(f.passed) > 0 {
		l.warn("ssh configuration: there is no OpenSSH here to decide, so these lines are passed over: " + strings.Join(f.passed, "; "))
	}
	return f.settings, f.home, nil
}

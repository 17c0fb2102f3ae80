package agents

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// temporary ends the names of what is not complete.
	temporary = ".tmp"
	// unusedFor is how long an agent is kept that nobody asks for.
	unusedFor = 30 * 24 * time.Hour
	// abandonedFor is the age of temporary files that nobody can still be writing.
	abandonedFor = 24 * time.Hour
	// tailBytes is how much of the compiler's text an error quotes: about a screenful.
	tailBytes = 2 << 10
	// interruptWait is what the go command gets to remove its files after an interrupt.
	interruptWait = 5 * time.Second
)

// buildFlags make the executable depend on nothing but the sources, the Go version and the
// platform.
var buildFlags = []string{"-trimpath", "-ldflags=-s -w", "-tags=xdist_agent"}

// baseline is the environment that reaches the code of an agent. The oldest processors are good
// enough, and -buildvcs stands for a GOFLAGS of the user's, which an empty one would not replace.
var baseline = []string{
	"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GO111MODULE=on",
	"GOAMD64=v1", "GO386=sse2", "GOARM=6", "GOARM64=v8.0", "GOMIPS=softfloat", "GOMIPS64=softfloat", "GOPPC64=power8", "GORISCV64=rva20u64",
}

// compiled returns the path of the agent that the sources give, which is made when it is not there.
func (m *Maker) compiled(ctx context.Context, goos, goarch string) (string, error) {
	if m.cfg.Sources == nil {
		return "", errors.New("this xdist has no sources in it")
	}
	if err := os.MkdirAll(m.cfg.Dir, 0o777); err != nil {
		return "", err
	}
	env := m.env(goos, goarch)
	version, err := m.goVersion(ctx, env)
	if err != nil {
		return "", err
	}
	key, err := m.key(version, goos, goarch)
	if err != nil {
		return "", err
	}
	name := filepath.Join(m.cfg.Dir, "xdist-"+goos+"-"+goarch+"-"+key+exe(goos))
	if m.intact(name) {
		return name, nil
	}
	m.prune(time.Now())
	return name, m.compile(ctx, env, name)
}

// key tells agents of different sources, Go versions and platforms apart.
func (m *Maker) key(version, goos, goarch string) (string, error) {
	sources, err := m.sources()
	if err != nil {
		return "", fmt.Errorf("read the embedded sources: %w", err)
	}
	sum := sha256.Sum256([]byte(strings.Join(append(append([]string{sources, m.cfg.Package, version, goos, goarch}, buildFlags...), baseline...), "\x00")))
	return hex.EncodeToString(sum[:12]), nil
}

func (m *Maker) env(goos, goarch string) []string {
	env := m.cfg.Env
	if env == nil {
		env = os.Environ()
	}
	env = append(env[:len(env):len(env)], baseline...)
	return append(env, "GOOS="+goos, "GOARCH="+goarch)
}

// goVersion is that of the go command's own toolchain, or why there is none.
func (m *Maker) goVersion(ctx context.Context, env []string) (string, error) {
	out, err := m.run(ctx, m.cfg.Dir, env, "env", "GOVERSION")
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("there is no go command on PATH: install Go (https://go.dev/dl)")
	}
	return strings.TrimSpace(out), err
}

// compile makes the executable of this name, in one step for those who look at it.
func (m *Maker) compile(ctx context.Context, env []string, name string) error {
	dir, err := os.MkdirTemp(m.cfg.Dir, "build-*"+temporary)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // what is left is pruned later
	src := filepath.Join(dir, "src")
	if err := m.extract(src); err != nil {
		return fmt.Errorf("write the sources: %w", err)
	}
	made := filepath.Join(dir, "agent")
	args := append(append([]string{"build"}, buildFlags...), "-o", made, m.cfg.Package)
	if _, err := m.run(ctx, src, env, args...); err != nil {
		return err
	}
	if err := os.Rename(made, name); err != nil {
		return err
	}
	os.Remove(m.stampFile(name)) // it may be that of one that was damaged
	_, err = m.digest(name)
	return err
}

func (m *Maker) extract(dir string) error {
	return walkSources(m.cfg.Sources, func(name string, content []byte) error {
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o666)
	})
}

// run runs the go command and returns what it prints. Its error holds the end of what it complained
// about.
func (m *Maker) run(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	name := m.cfg.Go
	if name == "" {
		name = "go"
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(env[:len(env):len(env)], "PWD="+dir)
	cmd.Cancel = func() error {
		if cmd.Process.Signal(os.Interrupt) == nil {
			return nil // it removes its temporary files
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = interruptWait
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if text := strings.TrimSpace(stderr.String()); err != nil && text != "" {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, text[max(0, len(text)-tailBytes):])
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return string(out), nil
}

// prune removes agents that were not used for long, and what killed processes left.
func (m *Maker) prune(now time.Time) {
	entries, err := os.ReadDir(m.cfg.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		name := filepath.Join(m.cfg.Dir, e.Name())
		info, err := e.Info()
		if err != nil {
			continue
		}
		if age := now.Sub(info.ModTime()); strings.HasSuffix(name, temporary) && age > abandonedFor {
			os.RemoveAll(name)
		} else if strings.HasSuffix(name, ".stamp") && age > unusedFor {
			m.removeUnused(name)
		}
	}
}

// removeUnused removes a stamp, and the agent that it stands for if that is one of the Maker's own.
func (m *Maker) removeUnused(file string) {
	var s stamp
	data, err := os.ReadFile(file)
	if err != nil {
		return
	}
	if json.Unmarshal(data, &s) == nil && filepath.Dir(s.Path) == filepath.Clean(m.cfg.Dir) {
		os.Remove(s.Path)
	}
	os.Remove(file)
}

package agents

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/gobuild"
	"github.com/xdist-go/xdist/internal/turns"
)

// Config of a Maker. Dir and Args must be set; Sources and Package too if agents are to be
// compiled.
type Config struct {
	Dir     string   // keeps what was compiled; made when missing
	Sources fs.FS    // a module: go.mod, go.sum and packages. Nil: nothing is compiled
	Package string   // the command in it, such as ./cmd/xdist
	Args    []string // that make an agent of the command
	Go      string   // the go command; "" is go on PATH
	Env     []string // of the go command; nil is os.Environ()
	Program string   // the running executable; "" is os.Executable
}

// Maker gives agents for platforms. New makes one. Its methods may be called concurrently.
type Maker struct {
	cfg       Config
	sources   func() (string, error) // digest of what would be compiled
	platforms turns.Turns            // whose holder may compile
}

// New returns a Maker. It touches no file.
func New(cfg Config) *Maker {
	m := &Maker{cfg: cfg}
	m.sources = sync.OnceValues(func() (string, error) { return sourceDigest(cfg.Sources) })
	return m
}

// kept is where executables are.
func (m *Maker) kept() gobuild.Dir { return gobuild.Dir{Path: m.cfg.Dir, Go: m.cfg.Go} }

// UnavailableError says why there is no agent for a platform, and what can be done about it.
type UnavailableError struct {
	Platform string // linux/arm64
	File     string // where a ready-made one would be taken from
	Err      error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("compile agent for %s: %v (a ready-made one would be taken from %s)", e.Platform, e.Err, e.File)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// Agent returns the executable for a platform. It blocks while one is compiled, some seconds the
// first time; of several callers who want the same one compiles. It fits gateway.Config.Agent.
// Errors: *UnavailableError, and those of ctx.
func (m *Maker) Agent(ctx context.Context, goos, goarch string) (gateway.Agent, error) {
	program, err := m.program()
	if err != nil {
		return gateway.Agent{}, err
	}
	own := goos == runtime.GOOS && goarch == runtime.GOARCH
	if own && selfContained(program) {
		return m.take(program)
	}
	_, pass, err := m.platforms.Take(ctx, goos+"/"+goarch)
	if err != nil {
		return gateway.Agent{}, context.Cause(ctx)
	}
	defer pass()
	places := readyMade(program, goos, goarch)
	for _, name := range places {
		if agent, err := m.take(name); !errors.Is(err, fs.ErrNotExist) {
			return agent, err
		}
	}
	name, err := m.compiled(ctx, goos, goarch)
	switch {
	case err == nil:
		return m.take(name)
	case ctx.Err() != nil:
		return gateway.Agent{}, context.Cause(ctx)
	case own:
		return m.take(program)
	}
	return gateway.Agent{}, &UnavailableError{Platform: goos + "/" + goarch, File: places[0], Err: err}
}

// take returns the executable of this name as an agent.
func (m *Maker) take(name string) (gateway.Agent, error) {
	digest, err := m.kept().Digest(name)
	if err != nil {
		return gateway.Agent{}, fmt.Errorf("read agent: %w", err)
	}
	return gateway.Agent{Path: name, Digest: digest, Args: slices.Clone(m.cfg.Args)}, nil
}

func (m *Maker) program() (string, error) {
	if m.cfg.Program != "" {
		return m.cfg.Program, nil
	}
	name, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find own executable: %w", err)
	}
	return name, nil
}

// readyMade are the names under which a release would carry the agent, the first choice first.
func readyMade(program, goos, goarch string) []string {
	if resolved, err := filepath.EvalSymlinks(program); err == nil {
		program = resolved
	}
	dir, name := filepath.Dir(program), "xdist-"+goos+"-"+goarch+exe(goos)
	return []string{filepath.Join(dir, name), filepath.Join(filepath.Dir(dir), "libexec", "xdist", name)}
}

func exe(goos string) string {
	if goos == "windows" {
		return ".exe"
	}
	return ""
}

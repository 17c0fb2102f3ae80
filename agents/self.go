package agents

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/gobuild"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/internal/turns"
)

// Self returns what gives the running program to hosts of other platforms, for
// gateway.Config.Agent. It is called in the program's main package, whose sources are compiled
// where they lie, without cgo, by the go command on PATH. In a test it is called in the package
// that is tested, and gives the test binary. For its own platform the program itself is given,
// unless it needs shared libraries of its host; if then nothing can be compiled the error says so.
// The program calls gateway.Main.
//
// What was compiled is kept in the user's cache directory, which has those used last, half a GiB of
// them. It is found again as long as the program's own executable has the same content, also where
// sources and Go are gone; and by a program that was built anew, as long as its sources have not
// changed. Sources that have changed since the program was built are compiled, too, but that is not
// kept for this program.
//
// What is compiled has the build tags of the running program, the variables that -ldflags=-X has
// set, its -gcflags, -asmflags, GOEXPERIMENT and GOFIPS140. The rest of the user's environment and
// of go env counts as for go build, but for GOAMD64 and the like: the oldest processors are good
// enough. It has no version control stamp, and no -race, -msan, -asan or -cover. Not known, and to
// be left to GOFLAGS, are -mod, -modfile and -overlay.
//
// Errors: that the sources are not where they were when the program was built, or that it was built
// with -trimpath; that Self was called in another package; those of the go command; ctx's. The
// function may be called concurrently.
func Self() func(ctx context.Context, goos, goarch string) (gateway.Agent, error) {
	var pc [1]uintptr
	runtime.Callers(2, pc[:])
	caller, _ := runtime.CallersFrames(pc[:]).Next()
	info, _ := debug.ReadBuildInfo() // nil where there is none
	s := &self{}
	s.recipe, s.unknown = recipeOf(caller, info)
	return s.agent
}

// mostPrograms is how many bytes of executables are kept, of all programs of the user.
const mostPrograms = 512 << 20

// self gives the running program for platforms.
type self struct {
	recipe    recipe
	unknown   error       // why there is no recipe
	program   string      // the running executable; "" is os.Executable
	cache     string      // "" is below the user's cache directory
	platforms turns.Turns // whose holder may compile

	mu   sync.Mutex // guards the field below
	made map[string]gateway.Agent
}

func (s *self) agent(ctx context.Context, goos, goarch string) (gateway.Agent, error) {
	platform := goos + "/" + goarch
	_, pass, err := s.platforms.Take(ctx, platform)
	if err != nil {
		return gateway.Agent{}, context.Cause(ctx)
	}
	defer pass()
	s.mu.Lock()
	a, ok := s.made[platform]
	s.mu.Unlock()
	if ok {
		return a, nil
	}
	if a, err = s.build(ctx, goos, goarch); err != nil {
		return a, fmt.Errorf("compile this program for %s: %w", platform, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		s.made = make(map[string]gateway.Agent)
	}
	s.made[platform] = a
	return a, nil
}

func (s *self) build(ctx context.Context, goos, goarch string) (gateway.Agent, error) {
	kept, err := s.kept()
	if err != nil {
		return gateway.Agent{}, err
	}
	m := New(Config{Dir: kept.Path, Args: []string{"agent"}, Program: s.program})
	program, err := m.program()
	if err != nil {
		return gateway.Agent{}, err
	}
	if goos == runtime.GOOS && goarch == runtime.GOARCH && selfContained(program) {
		return m.take(program)
	}
	name, err := s.compiled(ctx, kept, program, goos, goarch)
	if err != nil {
		return gateway.Agent{}, err
	}
	return m.take(name)
}

// compiled returns the path of the program for a platform: what was compiled for this very
// executable before, or what its sources give.
func (s *self) compiled(ctx context.Context, kept gobuild.Dir, program, goos, goarch string) (string, error) {
	id, built := identify(kept, program)
	key := id + " " + goos + "/" + goarch
	if name, ok := kept.Kept(key); ok {
		return name, nil
	}
	p, err := s.sources(goos, goarch)
	if err != nil {
		return "", err
	}
	name, err := kept.Executable(ctx, p)
	if err == nil && !kept.ChangedSince(p, built) { // what has changed since is not this program any more
		err = kept.Keep(key, name)
	}
	return name, err
}

// identify tells an executable from all others, and when it was built. That is never for one that
// is gone while it runs.
func identify(kept gobuild.Dir, program string) (digest string, built time.Time) {
	digest, err := kept.Digest(program)
	info, statErr := os.Stat(program)
	if err != nil || statErr != nil {
		return "", time.Time{}
	}
	return digest, info.ModTime()
}

// sources are what the program is compiled from for a platform.
func (s *self) sources(goos, goarch string) (gobuild.Program, error) {
	if s.unknown != nil {
		return gobuild.Program{}, s.unknown
	}
	if info, err := os.Stat(s.recipe.dir); err != nil || !info.IsDir() || !filepath.IsAbs(s.recipe.dir) {
		return gobuild.Program{}, errors.New("its sources are not on this host, or it was built with -trimpath: " +
			"build it where it runs, with CGO_ENABLED=0 if it is for hosts of its own platform, or set gateway.Config.Agent")
	}
	return gobuild.Program{
		Dir: s.recipe.dir, Package: ".", Tests: s.recipe.tests, Flags: s.recipe.flags, Suffix: exe(goos),
		Env: slices.Concat(os.Environ(), oldest, s.recipe.env, []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + goarch}),
	}, nil
}

// kept is where executables are: where nobody else can put one.
func (s *self) kept() (dir gobuild.Dir, err error) {
	dir = gobuild.Dir{Path: s.cache, Most: mostPrograms}
	if s.cache == "" {
		dir.Path, err = ownfile.UserCache("programs")
	} else {
		err = ownfile.MakeDir(s.cache)
	}
	return dir, err
}

package agents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/turns"
)

// Self returns what gives the running program to hosts of other platforms, for
// gateway.Config.Agent. It is called in the program's main package, whose sources are compiled
// where they lie, without cgo, by the go command on PATH: once in the life of the process for each
// platform. In a test it is called in the package that is tested, and gives the test binary. For
// its own platform the program itself is given, unless it needs shared libraries of its host; if
// then nothing can be compiled the error says so. What was compiled is kept in the user's cache
// directory, one executable for each program and platform. The program calls gateway.Main.
//
// What is compiled has the build tags of the running program, the variables that -ldflags=-X has
// set, its -gcflags, -asmflags, GOEXPERIMENT and GOFIPS140. The rest of the user's environment and
// of go env counts as for go build, but for GOAMD64 and the like: the oldest processors are good
// enough. It has no version control stamp, and no -race, -msan, -asan or -cover. Not known, and to
// be left to GOFLAGS, are -mod, -modfile and -overlay.
//
// Errors: that the sources are not where they were when the program was built, or that it was built
// with -trimpath; those of the go command; ctx's. The function may be called concurrently.
func Self() func(ctx context.Context, goos, goarch string) (gateway.Agent, error) {
	var pc [1]uintptr
	runtime.Callers(2, pc[:])
	caller, _ := runtime.CallersFrames(pc[:]).Next()
	info, _ := debug.ReadBuildInfo() // nil where there is none
	s := &self{}
	s.recipe, s.unknown = recipeOf(caller, info)
	return s.agent
}

// self gives the running program for platforms.
type self struct {
	recipe    recipe
	unknown   error       // why there is no recipe
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
	cache, err := s.cacheDir()
	if err != nil {
		return gateway.Agent{}, err
	}
	m := New(Config{Dir: cache, Args: []string{"agent"}})
	program, err := m.program()
	if err != nil {
		return gateway.Agent{}, err
	}
	if goos == runtime.GOOS && goarch == runtime.GOARCH && selfContained(program) {
		return m.take(program)
	}
	if s.unknown != nil {
		return gateway.Agent{}, s.unknown
	}
	src := s.recipe.dir
	if info, err := os.Stat(src); err != nil || !info.IsDir() || !filepath.IsAbs(src) {
		return gateway.Agent{}, errors.New("its sources are not on this host, or it was built with -trimpath: " +
			"build it where it runs, with CGO_ENABLED=0 if it is for hosts of its own platform, or set gateway.Config.Agent")
	}
	id := sha256.Sum256([]byte(strings.Join(slices.Concat([]string{src, mainPath()}, s.recipe.command, s.recipe.flags, s.recipe.env), "\x00")))
	name := filepath.Join(cache, hex.EncodeToString(id[:8])+"-"+goos+"-"+goarch+exe(goos))
	m.kept().Prune(time.Now())
	dir, remove, err := m.kept().Work()
	if err != nil {
		return gateway.Agent{}, err
	}
	defer remove()
	env := slices.Concat(os.Environ(), oldest, s.recipe.env, []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + goarch})
	if err := m.kept().Build(ctx, src, dir, env, name, slices.Concat(s.recipe.command, s.recipe.flags, []string{"."})...); err != nil {
		return gateway.Agent{}, err
	}
	return m.take(name)
}

func (s *self) cacheDir() (string, error) {
	dir := s.cache
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(user, "xdist", "programs")
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// mainPath is the import path of the program.
func mainPath() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Path
	}
	return ""
}

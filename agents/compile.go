package agents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// buildFlags make the executable depend on nothing but the sources, the Go version and the
// platform.
var buildFlags = []string{"-trimpath", "-ldflags=-s -w", "-tags=xdist_agent"}

// baseline is the environment that reaches the code of an agent. -buildvcs stands for a GOFLAGS of
// the user's, which an empty one would not replace.
var baseline = append([]string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GO111MODULE=on"}, oldest...)

// oldest are the processors that code for hosts is for, whatever the user has here.
var oldest = []string{
	"GOAMD64=v1", "GO386=sse2", "GOARM=6", "GOARM64=v8.0", "GOMIPS=softfloat", "GOMIPS64=softfloat", "GOPPC64=power8", "GORISCV64=rva20u64",
}

// compiled returns the path of the agent that the sources give, which is made when it is not there.
func (m *Maker) compiled(ctx context.Context, goos, goarch string) (string, error) {
	if m.cfg.Sources == nil {
		return "", errors.New("this xdist has no sources in it")
	}
	if err := ownfile.MakeDir(m.cfg.Dir); err != nil {
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
	if m.kept().Intact(name) {
		return name, nil
	}
	m.kept().Prune(time.Now())
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
	out, err := m.kept().Run(ctx, m.cfg.Dir, env, "env", "GOVERSION")
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("there is no go command on PATH: install Go (https://go.dev/dl)")
	}
	return strings.TrimSpace(out), err
}

// compile makes the executable of this name, in one step for those who look at it.
func (m *Maker) compile(ctx context.Context, env []string, name string) error {
	dir, remove, err := m.kept().Work()
	if err != nil {
		return err
	}
	defer remove()
	src := filepath.Join(dir, "src")
	if err := extract(m.cfg.Sources, src); err != nil {
		return fmt.Errorf("write the sources: %w", err)
	}
	if err := m.kept().Build(ctx, src, dir, env, name, slices.Concat([]string{"build"}, buildFlags, []string{m.cfg.Package})...); err != nil {
		return err
	}
	_, err = m.kept().Digest(name)
	return err
}

func extract(sources fs.FS, dir string) error {
	return walkSources(sources, func(name string, content []byte) error {
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o666)
	})
}

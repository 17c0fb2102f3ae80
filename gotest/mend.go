package gotest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Mend looks at the test binary of a package that Load has made, and builds it again when its
// content is not what its digest says. It returns the package as it is now, and whether it was
// built. cfg is that of Load.
func Mend(ctx context.Context, cfg LoadConfig, r Ready) (mended Ready, built bool, err error) {
	right, err := cfg.Claim.Check(ctx, r.Digest)
	if err != nil || right {
		return r, false, err
	}
	if mended, err = rebuild(ctx, cfg, r); err != nil {
		return r, false, fmt.Errorf("build the damaged test binary of %s again: %w", r.Package, err)
	}
	return mended, true, nil
}

func rebuild(ctx context.Context, cfg LoadConfig, r Ready) (Ready, error) {
	cmd, err := cfg.Command.For(cfg.Platform, cfg.Toolchain.GOFLAGS)
	if err != nil {
		return r, err
	}
	runDir, err := os.MkdirTemp(cfg.Platform.RunDir(cfg.RunDir), "mend-")
	if err != nil {
		return r, err
	}
	env, err := buildEnv(runDir, cfg.Platform.Environ(cfg.Env), cmd.Work)
	if err != nil {
		return r, err
	}
	packages := []string{r.Package}
	if hasFiles(cmd.Packages) {
		packages = nil
	}
	var made Ready
	var said strings.Builder
	err = Build(ctx, BuildConfig{
		Command: cmd, Go: cfg.Go, Env: env, Dir: cfg.Dir, Packages: packages, Store: cfg.Store, RunID: cfg.RunID, RunDir: runDir, Handoff: cfg.Handoff,
	}, func(e BuildEvent) {
		switch e := e.(type) {
		case Ready:
			if e.Package == r.Package {
				made = e
			}
		case BuildOutput:
			said.WriteString(e.Event.Output)
		}
	})
	if err == nil && made.Package == "" {
		err = errors.New(strings.TrimSpace("it does not build: " + said.String()))
	}
	if err != nil {
		return r, err
	}
	r.Binary, err = cfg.Claim.Binary(ctx, made.Digest, made.Name)
	r.Digest, r.Name = made.Digest, made.Name
	return r, err
}

// hasFiles reports whether patterns are source files, which have no import path to be built by.
func hasFiles(patterns []string) bool {
	for _, p := range patterns {
		if filepath.Ext(p) == ".go" {
			return true
		}
	}
	return false
}

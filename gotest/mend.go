package gotest

import (
	"context"
	"encoding/json"
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

// BuildFor returns a package that Load has made for another cfg.Platform.Trim, with a test binary
// for this one. That is built, unless the store has it, or the command has binaries that name no
// files. cfg is that of Load besides. Of r only Package, Binary and Digest are needed.
func BuildFor(ctx context.Context, cfg LoadConfig, r Ready) (Ready, error) {
	cmd, err := cfg.Command.For(cfg.Platform, cfg.Toolchain.GOFLAGS)
	if err == nil && cmd == cfg.Command {
		return r, nil
	}
	if made, ok := lookUpFor(ctx, cfg, r); err == nil && ok {
		return made, nil
	}
	made := r
	if err == nil {
		made, err = rebuild(ctx, cfg, r)
	}
	if err == nil { // what was in the store before may be damaged
		made, _, err = Mend(ctx, cfg, made)
	}
	if err != nil {
		return r, fmt.Errorf("build the test binary of %s for %s: %w", r.Package, cfg.Platform.Trim.Mirror, err)
	}
	if data, err := json.Marshal(record{Digest: made.Digest, Name: made.Name}); err == nil {
		cfg.Store.PutRecord(trimKey(cfg, r), data) // in vain at worst: the next run builds again
	}
	return made, nil
}

// lookUpFor is BuildFor from the store.
func lookUpFor(ctx context.Context, cfg LoadConfig, r Ready) (Ready, bool) {
	var rec record
	data, ok := cfg.Store.GetRecord(trimKey(cfg, r))
	if !ok || json.Unmarshal(data, &rec) != nil {
		return r, false
	}
	if right, err := cfg.Claim.Check(ctx, rec.Digest); err != nil || !right {
		return r, false
	}
	var err error
	r.Digest, r.Name = rec.Digest, rec.Name
	r.Binary, err = cfg.Claim.Binary(ctx, rec.Digest, rec.Name)
	return r, err == nil
}

// trimKey is that of the record of a binary that differs from r's only by the names of files. All
// else that goes into it has gone into r's as well, which its digest stands for.
func trimKey(cfg LoadConfig, r Ready) string {
	return strings.Join([]string{"trim:" + r.Digest.Hex(), cfg.Platform.Trim.Root, cfg.Platform.Trim.Mirror}, "\x00")
}

func rebuild(ctx context.Context, cfg LoadConfig, r Ready) (Ready, error) {
	cmd, err := cfg.Command.For(cfg.Platform, cfg.Toolchain.GOFLAGS)
	if err != nil {
		return r, err
	}
	parent := cfg.Platform.RunDir(cfg.RunDir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return r, err
	}
	runDir, err := os.MkdirTemp(parent, "mend-")
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

package main

import (
	"context"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/hosts"
)

// sources lists and builds the packages of a run.
type sources struct {
	command   *gotest.Command
	toolchain gotest.Toolchain // that of the zero Platform
	run       *runFiles
	plan      *plan
	mirror    *hosts.Mirror // nil when the binaries run on this machine's files
}

// config is what gotest needs to know of a platform.
func (s sources) config(ctx context.Context, platform gotest.Platform) (gotest.LoadConfig, error) {
	toolchain := s.toolchain
	if platform != (gotest.Platform{}) {
		var err error
		if toolchain, err = platform.FindToolchain(ctx, "", ""); err != nil {
			return gotest.LoadConfig{}, err
		}
	}
	if s.mirror != nil {
		platform.Trim = gotest.Trim{Root: s.mirror.Source.Root, Mirror: s.mirror.Dir(toolchain.GOOS, s.mirror.Place)}
	}
	return gotest.LoadConfig{
		Command: s.command, Platform: platform, Toolchain: toolchain, Store: s.run.store, Claim: s.run.claim, RunID: s.run.id, RunDir: s.run.dir,
		Narrow: s.plan.part.N > 0, Handoff: []string{s.run.executable, "handoff"},
	}, nil
}

// mend is a scheduler.Mender.
func (s sources) mend(ctx context.Context, platform gotest.Platform, r gotest.Ready) (gotest.Ready, bool, error) {
	cfg, err := s.config(ctx, platform)
	if err != nil {
		return r, false, err
	}
	return gotest.Mend(ctx, cfg, r)
}

// load is a scheduler.Source.
func (s sources) load(ctx context.Context, platform gotest.Platform, emit func(gotest.BuildEvent)) error {
	cfg, err := s.config(ctx, platform)
	if err != nil {
		return err
	}
	var divided division
	cfg.Select = func(packages []gotest.Package) (chosen []gotest.Package, err error) {
		chosen, divided, err = s.plan.choose(packages)
		return chosen, err
	}
	return gotest.Load(ctx, cfg, func(e gotest.BuildEvent) {
		listed, ok := e.(gotest.Listed)
		if !ok || divided.text == "" {
			emit(e)
			return
		}
		listed.Shards = divided.digest
		emit(listed)
		emit(gotest.Stderr{Text: divided.text})
	})
}

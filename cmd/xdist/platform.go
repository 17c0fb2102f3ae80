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

// config is what gotest needs to know of a platform. place is that of the mirrors, if there are
// any.
func (s sources) config(ctx context.Context, platform gotest.Platform, place string) (gotest.LoadConfig, error) {
	toolchain := s.toolchain
	if platform != (gotest.Platform{}) {
		var err error
		if toolchain, err = platform.FindToolchain(ctx, "", ""); err != nil {
			return gotest.LoadConfig{}, err
		}
	}
	if s.mirror != nil {
		platform.Trim = gotest.Trim{Root: s.mirror.Source.Root, Mirror: s.mirror.Dir(toolchain.GOOS, place)}
	}
	return gotest.LoadConfig{
		Command: s.command, Platform: platform, Toolchain: toolchain, Store: s.run.store, Claim: s.run.claim, RunID: s.run.id, RunDir: s.run.dir,
		Narrow: s.plan.part.N > 0 || s.plan.repeat.narrow(), Handoff: []string{s.run.executable, "handoff"},
	}, nil
}

// place is that of the mirrors that all is built for at first.
func (s sources) place() string {
	if s.mirror == nil {
		return ""
	}
	return s.mirror.Place
}

// buildFor is a hosts.Mirror.Build.
func (s sources) buildFor(ctx context.Context, platform gotest.Platform, place string, r gotest.Ready) (gotest.Ready, error) {
	cfg, err := s.config(ctx, platform, place)
	if err != nil {
		return r, err
	}
	return gotest.BuildFor(ctx, cfg, r)
}

// mend is a scheduler.Mender.
func (s sources) mend(ctx context.Context, platform gotest.Platform, r gotest.Ready) (gotest.Ready, bool, error) {
	cfg, err := s.config(ctx, platform, s.place())
	if err != nil {
		return r, false, err
	}
	return gotest.Mend(ctx, cfg, r)
}

// load is a scheduler.Source.
func (s sources) load(ctx context.Context, platform gotest.Platform, emit func(gotest.BuildEvent)) error {
	cfg, err := s.config(ctx, platform, s.place())
	if err != nil {
		return err
	}
	var divided division
	cfg.Select = func(packages []gotest.Package) (chosen []gotest.Package, err error) {
		chosen, divided, err = s.plan.choose(cfg.Toolchain.GOOS+"/"+cfg.Toolchain.GOARCH, packages)
		return chosen, err
	}
	return gotest.Load(ctx, cfg, func(e gotest.BuildEvent) {
		listed, ok := e.(gotest.Listed)
		if !ok || divided.text == "" {
			emit(e)
			return
		}
		listed.Shards, listed.LeftOut = divided.digest, divided.leftOut
		emit(listed)
		emit(gotest.Stderr{Text: divided.text})
	})
}

package hostbuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// Builder builds test binaries on an agent's host, with the Go that is there.
type Builder struct {
	// Handoff is the command that runs gotest.Handoff on the host.
	Handoff func() ([]string, error)
}

// Build is the agent's side of a build: it does what the controller's own go command would have
// done, in the mirror of the tree, puts the binaries where a controller's would go, and tells what
// has become of the packages. What is wrong with the host is in the last report. It returns when
// the controller has closed the channel, because the coverage data of the build stay until then.
func (b Builder) Build(ctx context.Context, ch *gateway.Channel, item gateway.Item) error {
	var args wire.BuildArgs
	if err := item.Decode(&args); err != nil {
		return fmt.Errorf("read the arguments: %w", err)
	}
	command, err := gotest.DecodeCommand(args.Command)
	if err != nil {
		return err
	}
	h := &hostBuild{builder: b, args: args, command: command, ch: ch, ctx: ctx}
	defer h.close()
	end := wire.BuildEnd{}
	if err := h.build(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.As(err, &end.Build) {
			end.Error = h.advise(err)
		}
	}
	if err := ch.Send(ctx, wire.BuildReport{Done: &end}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// hostBuild is the state of one Build.
type hostBuild struct {
	builder Builder
	args    wire.BuildArgs
	command *gotest.Command
	ch      *gateway.Channel
	ctx     context.Context

	tools gotest.Toolchain
	store *store.Store // nil until it is open
	claim *store.Run   // likewise

	mu      sync.Mutex // guards sendErr
	sendErr error
}

func (h *hostBuild) build(ctx context.Context) error {
	goCommand, err := findGo()
	if err != nil {
		return err
	}
	env := append(os.Environ(), "GOFLAGS="+h.args.GOFLAGS, "PWD="+h.command.Dir)
	platform := gotest.Platform{Go: h.args.Go}
	if h.tools, err = gotest.FindToolchain(ctx, goCommand, h.command.Dir, platform.Environ(env)); err != nil {
		return err
	}
	h.send(wire.BuildReport{Go: h.tools.GOVERSION})
	if err := h.open(); err != nil {
		return err
	}
	runDir, err := h.claim.TempDir()
	if err != nil {
		return err
	}
	handoff, err := h.builder.Handoff()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = gotest.Load(ctx, gotest.LoadConfig{
		Command: h.command, Platform: platform, Toolchain: h.tools, Store: h.store, Claim: h.claim, RunID: h.args.RunID, RunDir: runDir, Handoff: handoff,
		Go: goCommand, Env: env, Dir: h.command.Dir, NeedCgo: os.Getenv("CGO_ENABLED") != "0",
	}, func(e gotest.BuildEvent) {
		if h.event(e); h.failed() != nil {
			cancel()
		}
	})
	if sendErr := h.failed(); sendErr != nil {
		return sendErr
	}
	return err
}

// open opens the store of the host's builds, beside its blobs. It has the controller's bound, and
// the last worker that leaves the host counts what is there, too.
func (h *hostBuild) open() error {
	blobs, err := rsync.BlobDir()
	if err != nil {
		return err
	}
	if h.store, err = store.Open(filepath.Join(filepath.Dir(blobs), hosts.BuildsDir), h.args.CacheSize, nil); err != nil {
		return err
	}
	h.claim, err = h.store.Begin()
	return err
}

func (h *hostBuild) close() {
	if h.claim != nil {
		h.claim.Close()                        // what stays is removed by the next prune
		h.store.Prune(context.Background(), 0) // the next one tries again
	}
}

// event tells the controller.
func (h *hostBuild) event(e gotest.BuildEvent) {
	switch e := e.(type) {
	case gotest.Listed:
		h.listed(e.Packages)
	case gotest.Ready:
		kept, err := rsync.KeepBlob(h.ctx, e.Binary, e.Digest.Hex())
		if err != nil {
			h.fail(err)
			return
		}
		e.Binary = kept
		h.send(wire.BuildReport{Ready: wire.BuiltOf(e)})
	case gotest.Reported:
		h.send(wire.BuildReport{Reported: &e})
	case gotest.BuildOutput:
		h.send(wire.BuildReport{Output: &e.Event})
	case gotest.Profile:
		for part := range slices.Chunk(e.Text, wire.ProfilePart) {
			h.send(wire.BuildReport{Profile: part})
		}
	case gotest.Stderr:
		h.send(wire.BuildReport{Stderr: e.Text})
	case gotest.Step:
		h.send(wire.BuildReport{Step: &e})
	case gotest.Warning:
		h.send(wire.BuildReport{Warning: e.Text})
	default:
		panic(fmt.Sprintf("BUG: a build has a %T", e))
	}
}

func (h *hostBuild) listed(packages []gotest.Package) {
	for part := range slices.Chunk(packages, wire.ListedPart) {
		packages = packages[len(part):]
		h.send(wire.BuildReport{Listed: part, More: len(packages) > 0})
	}
}

func (h *hostBuild) send(r wire.BuildReport) {
	if h.failed() == nil {
		h.fail(h.ch.Send(h.ctx, r))
	}
}

// fail keeps the first error of the channel, after which nothing more is sent.
func (h *hostBuild) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sendErr = cmp.Or(h.sendErr, err)
}

func (h *hostBuild) failed() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sendErr
}

var errNoGo = errors.New("there is no go command, neither on PATH nor in the usual place: install Go there (https://go.dev/dl), put its bin directory on the PATH of " +
	"ssh's sessions or into the spec by env:PATH=, or take build=remote out of the spec")

// findGo is the go command that a session on this host finds, or the one in the usual place.
func findGo() (string, error) {
	for _, name := range []string{"go", hosts.UsualGo()} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoGo
}

// advise is the text of an error with what to do about it, where that is known.
func (h *hostBuild) advise(err error) string {
	var (
		old   *gotest.TooOldError
		noCgo *gotest.NoCgoError
	)
	switch {
	case errors.As(err, &noCgo):
		return fmt.Sprintf("%v (CC=%s): install one there, or name it in the spec by env:CC=", err, cmp.Or(os.Getenv("CC"), "gcc or clang"))
	case errors.As(err, &old), h.tools == (gotest.Toolchain{}) && !errors.Is(err, errNoGo):
		return fmt.Sprintf("%v: install another Go there, let it get one (GOTOOLCHAIN=auto and a GOPROXY that it can reach), or take build=remote out of the spec", err)
	}
	return err.Error()
}

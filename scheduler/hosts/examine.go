package hosts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/diskspace"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/xspec"
)

// Examination is what is known about one gateway.
type Examination struct {
	Spec   xspec.Spec // with the id that the gateway has got
	Info   gateway.Info
	Facts  wire.HostFacts
	Offset time.Duration // of the host's clock from this one's; less than the time of a round trip is nothing
	Took   time.Duration // to open the gateway
	Err    error         // why it could not be opened or asked; Info and Facts are then not complete
}

// terminateTimeout is how long agents have to end after an examination. That of a run is the same
// by default.
const terminateTimeout = 10 * time.Second

// Examine opens a gateway for each spec, all at once, asks the agents about their hosts, and
// terminates the group. place is where trees go on hosts of a GOOS. One spec that fails says
// nothing about the others. Errors: of ids, before anything is started.
func Examine(ctx context.Context, group *gateway.Group, specs []xspec.Spec, place func(goos string) string) ([]Examination, error) {
	all := make([]Examination, len(specs))
	for i, s := range specs {
		var err error
		if all[i].Spec, err = group.Allocate(s); err != nil {
			return nil, fmt.Errorf("open gateway %s: %w", s, err)
		}
	}
	var wait sync.WaitGroup
	for i := range all {
		wait.Go(func() { all[i].run(ctx, group, place) })
	}
	wait.Wait()
	return all, group.Terminate(context.WithoutCancel(ctx), terminateTimeout)
}

func (e *Examination) run(ctx context.Context, group *gateway.Group, place func(string) string) {
	begin := time.Now()
	gw, err := group.OpenSpec(ctx, e.Spec)
	e.Took = time.Since(begin)
	if err != nil {
		e.Err = err
		return
	}
	e.Info = gw.Info()
	if e.Err = e.ask(ctx, gw, place(e.Info.GOOS)); e.Err != nil {
		e.Err = fmt.Errorf("examine the host of gateway %s: %w", gw.ID(), e.Err)
	}
}

// clockRounds is how often a host is asked for its clock. The fastest answer counts: its way was
// the shortest.
const clockRounds = 3

func (e *Examination) ask(ctx context.Context, gw *gateway.Gateway, place string) error {
	var fastest time.Duration
	for i := range clockRounds {
		begin := time.Now()
		report, err := askHost(ctx, gw, wire.HostArgs{}, patience)
		took := time.Since(begin)
		if err != nil {
			return err
		}
		if i == 0 || took < fastest {
			fastest = took
			e.Offset = time.Unix(0, report.Clock).Sub(begin.Add(took / 2))
		}
	}
	report, err := askHost(ctx, gw, wire.HostArgs{Examine: true, Place: place}, patience)
	if err != nil {
		return err
	}
	if report.Facts == nil {
		return errors.New("the agent has no answer: its xdist is older than this one")
	}
	e.Facts = *report.Facts
	return nil
}

// examineHost is the agent's side.
func examineHost(ctx context.Context, place string) wire.HostFacts {
	var f wire.HostFacts
	var err error
	if f.Binaries.Dir, err = rsync.BlobDir(); err != nil {
		f.Binaries.Problem = err.Error()
	} else if f.Binaries.Free, err = diskspace.Free(f.Binaries.Dir); err != nil {
		f.Binaries.Problem = err.Error()
	}
	f.Mirror.Dir = place
	if f.Mirror.Free, err = tryPlace(place); err != nil {
		f.Mirror.Problem = err.Error()
	}
	f.Mirror.NoExec = rsync.NoExec(place)
	f.Go = ownGo(ctx)
	return f
}

// trialPrefix begins the name of a directory that is made to see whether it can be.
const trialPrefix = "xdist-try-"

// tryPlace makes a directory below place, as a sync would, and removes it. It returns what is free
// there.
func tryPlace(place string) (free int64, err error) {
	if !filepath.IsAbs(place) {
		return 0, fmt.Errorf("%q is not absolute", place)
	}
	made, err := makeMissing(place)
	defer func() {
		for _, dir := range made {
			os.Remove(dir) // another one may have put something in
		}
	}()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp(place, trialPrefix)
	if err != nil {
		return 0, err
	}
	free, err = diskspace.Free(dir)
	return free, errors.Join(err, os.Remove(dir))
}

// makeMissing makes a directory and returns what had to be made, the deepest first.
func makeMissing(dir string) (made []string, err error) {
	for d := dir; ; d = filepath.Dir(d) {
		_, err := os.Stat(d)
		if !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		made = append(made, d)
	}
	return made, os.MkdirAll(dir, 0o700)
}

// goWait bounds the answer of a host's go command.
const goWait = 10 * time.Second

// ownGo is the version of the Go that a login on this host would find, or that is in the usual
// place.
func ownGo(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, goWait)
	defer cancel()
	for _, name := range []string{"go", UsualGo()} {
		cmd := exec.CommandContext(ctx, name, "env", "GOVERSION")
		cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=")
		if out, err := cmd.Output(); err == nil {
			return strings.TrimSpace(string(out))
		}
	}
	return ""
}

// UsualGo is where an installer puts the go command.
func UsualGo() string {
	if runtime.GOOS == "windows" {
		return `C:\Program Files\Go\bin\go.exe`
	}
	return "/usr/local/go/bin/go"
}

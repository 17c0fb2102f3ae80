package gotest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest/store"
)

// handoffMark starts the line by which the hand-off program tells the controller of a binary. The
// mark is followed by the run's id, so that a line that some other program prints cannot be taken
// for one.
const handoffMark = "xdist-handoff:"

// metaFilesName is the file in a GOCOVERDIR that names the coverage meta-data of packages that the
// binary does not link (internal/coverage.MetaFilesFileName).
const metaFilesName = "metafiles.txt"

// handoff is what the hand-off program says of one test binary: everything that `go test` would
// have run it with.
type handoff struct {
	Digest    store.Digest
	Name      string   // of the binary's file
	Args      []string // behind the binary's name
	Dir       string
	Env       []string // what cmd/go changed in the environment that it was given
	CoverMeta string   // directory with the metafiles of -coverpkg, or ""
	Tests     []Item   // the tests compiled in, read from the generated _testmain.go
	Main      string   // testmainSum of that
}

// handoffConfig is what the builder leaves in the run's directory for the hand-off program.
type handoffConfig struct {
	RunID string
	Store string
	Env   []string // the environment that the go command was started with
	Left  bool     // with -o or a profile the go command leaves the binary with the user, who may write to it
}

// Handoff is the program that `go test -exec` runs instead of a test binary. args are the run's
// directory, the binary, and the binary's arguments. It keeps the binary in the store, writes one
// line that describes it, and PASS, which is what cmd/go expects of a test that passed.
func Handoff(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) < 2 {
		return fmt.Errorf("hand off: want the run's directory and a test binary, got %q", args)
	}
	run, binary := args[0], args[1]
	cfg, err := readHandoffConfig(run)
	if err != nil {
		return err
	}
	h, err := describe(ctx, cfg, run, binary, args[2:])
	if err != nil {
		return fmt.Errorf("hand off %s: %w", filepath.Base(binary), err)
	}
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s%s %s\nPASS\n", handoffMark, cfg.RunID, line)
	return err
}

func describe(ctx context.Context, cfg handoffConfig, run, binary string, args []string) (handoff, error) {
	h := handoff{Name: filepath.Base(binary), Args: args}
	var err error
	if h.Dir, err = os.Getwd(); err != nil {
		return h, err
	}
	h.Env = changedEnv(cfg.Env, os.Environ())
	how := store.Link
	if cfg.Left {
		how = store.Copy
	}
	src, err := os.ReadFile(filepath.Join(filepath.Dir(binary), "_testmain.go"))
	if errors.Is(err, fs.ErrNotExist) {
		how = store.Copy // it was left with the user earlier, and is up to date
	} else if err != nil {
		return h, err
	} else {
		tm, err := ParseTestmain(src)
		if err != nil {
			return h, err
		}
		h.Tests, h.Main = tm.Items, testmainSum(src)
	}
	s, err := store.Open(cfg.Store, -1, nil)
	if err != nil {
		return h, err
	}
	if h.Digest, err = s.Put(ctx, binary, how); err != nil {
		return h, err
	}
	for _, a := range args {
		if dir, ok := strings.CutPrefix(a, "-test.gocoverdir="); ok {
			h.CoverMeta, err = keepCoverMeta(dir, run, h.Dir)
		}
	}
	return h, err
}

// changedEnv returns the entries of now that base does not have, without PWD, which follows the
// directory, and GOCOVERDIR, which each process gets of its own.
func changedEnv(base, now []string) []string {
	had := make(map[string]bool, len(base))
	for _, e := range base {
		had[e] = true
	}
	var changed []string
	for _, e := range now {
		if !had[e] && !strings.HasPrefix(e, "PWD=") && !strings.HasPrefix(e, "GOCOVERDIR=") {
			changed = append(changed, e)
		}
	}
	return changed
}

// keepCoverMeta copies the metafiles of gocoverdir, and the files that they name, into a directory
// of the run: cmd/go removes its own when it ends. The names become relative to it, as
// unit.Unit.CoverMeta wants them. It returns "" where there are none.
func keepCoverMeta(gocoverdir, run, pkgDir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(gocoverdir, metaFilesName))
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var files struct {
		ImportPaths       []string
		MetaFileFragments []string
	}
	if err := json.Unmarshal(data, &files); err != nil {
		return "", fmt.Errorf("read %s: %w", metaFilesName, err)
	}
	// The name is the same in every run, so that hosts that get a copy do not gather them.
	at := sha256.Sum256([]byte(pkgDir))
	dir := filepath.Join(run, "covermeta-"+hex.EncodeToString(at[:8]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	files.MetaFileFragments = slices.Clone(files.MetaFileFragments)
	for i, name := range files.MetaFileFragments {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		files.MetaFileFragments[i] = fmt.Sprintf("meta.%d", i)
		if err := os.WriteFile(filepath.Join(dir, files.MetaFileFragments[i]), content, 0o600); err != nil {
			return "", err
		}
	}
	if data, err = json.Marshal(files); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, metaFilesName), data, 0o600)
}

const handoffConfigName = "handoff.json"

func writeHandoffConfig(run string, cfg handoffConfig) error {
	data, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(run, handoffConfigName), data, 0o600)
}

func readHandoffConfig(run string) (handoffConfig, error) {
	var cfg handoffConfig
	data, err := os.ReadFile(filepath.Join(run, handoffConfigName))
	if err != nil {
		return cfg, fmt.Errorf("hand off: %w", err)
	}
	if err := json.Unmarshal(data, &cfg); err != nil {
		return cfg, fmt.Errorf("hand off: read %s: %w", handoffConfigName, err)
	}
	return cfg, nil
}

// parseHandoff finds the hand-off line of a run in what a package printed. done is false while the
// line is not complete.
func parseHandoff(runID string, output []byte) (h handoff, done bool, err error) {
	mark := []byte(handoffMark + runID + " ")
	i := bytes.Index(output, mark)
	if i < 0 {
		return h, false, nil
	}
	line, _, whole := bytes.Cut(output[i+len(mark):], []byte("\n"))
	if !whole {
		return h, false, nil
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, false, fmt.Errorf("read hand-off line: %w", err)
	}
	return h, true, nil
}

package gotest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Toolchain is what `go env` says of the go command that builds.
type Toolchain struct {
	GOROOT    string
	GOVERSION string // "go1.26.8"
	GOFLAGS   string
	GOOS      string
	GOARCH    string

	CGO_ENABLED          string // "1" or "0"
	GOHOSTOS, GOHOSTARCH string
}

// FindToolchain asks the go command called name ("" is "go") as it is seen from dir, where a
// toolchain line of go.mod can choose another. env is its environment; nil is os.Environ().
func FindToolchain(ctx context.Context, name, dir string, env []string) (Toolchain, error) {
	var t Toolchain
	cmd := exec.CommandContext(ctx, goCommand(name), "env", "-json", "GOROOT", "GOVERSION", "GOFLAGS", "GOOS", "GOARCH", "CGO_ENABLED", "GOHOSTOS", "GOHOSTARCH")
	cmd.Dir, cmd.Env = dir, env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			return t, fmt.Errorf("ask go env: %w: %s", err, text)
		}
		return t, fmt.Errorf("ask go env: %w (xdist needs a Go toolchain on PATH on this machine, none on the others)", err)
	}
	if err := json.Unmarshal(out, &t); err != nil {
		return t, fmt.Errorf("ask go env: read its answer: %w", err)
	}
	return t, nil
}

// Platform is the target platform, as in "linux/amd64".
func (t Toolchain) Platform() string { return t.GOOS + "/" + t.GOARCH }

// Cross reports whether code is compiled for another platform than the go command's own, and
// without cgo.
func (t Toolchain) Cross() bool {
	return (t.GOOS != t.GOHOSTOS || t.GOARCH != t.GOHOSTARCH) && t.CGO_ENABLED != "1"
}

// testEnv is what `go test` changes in the environment of a test binary: GOROOT/bin comes first on
// PATH, so that a test that runs the go command gets this one.
func (t Toolchain) testEnv() []string {
	return []string{"PATH=" + filepath.Join(t.GOROOT, "bin") + string(os.PathListSeparator) + os.Getenv("PATH")}
}

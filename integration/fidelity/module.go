package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

// checkModule runs both commands on a copy of the module and explains what differs.
func checkModule(ctx context.Context, o options, tmp, module string) (result, error) {
	dir, err := copyModule(ctx, tmp, module)
	if err != nil {
		return result{}, err
	}
	r := result{module: module}
	ask := asker(func(ctx context.Context, args ...string) (*compare.Model, error) {
		_, m, err := goTest(ctx, dir, args...)
		return m, err
	})
	start := time.Now()
	if r.goStatus, r.want, err = goTest(ctx, dir, "./..."); err != nil {
		return result{}, err
	}
	r.goTime = time.Since(start)
	start = time.Now()
	if r.ourState, r.got, err = runXdist(ctx, o, tmp, dir); err != nil {
		return result{}, err
	}
	r.xdistTime = time.Since(start)
	diffs := compare.Compare(r.want, r.got, compare.Verdicts, compare.Normal{})
	if r.findings, err = explain(ctx, ask, r.want, r.got, diffs, o.where.noGo); err != nil {
		return result{}, err
	}
	for pkg, tests := range compare.Unreached(r.want, r.got) {
		d := compare.Difference{Package: pkg, What: "tests with a verdict", Got: fmt.Sprintf("%d more: %s", len(tests), strings.Join(tests[:min(3, len(tests))], ", ")), Want: "none of these"}
		r.findings = append(r.findings, finding{Difference: d, name: pkg + ": " + d.What, shown: true, cause: "the process of its package ended under `go test` before they had one: its events show a panic, an exit or a timeout"})
	}
	if want := map[compare.Verdict]int{compare.Passed: 0, compare.TestsFailed: 1, compare.BuildFailed: 3}[r.got.Verdict()]; r.ourState != want {
		d := compare.Difference{What: "exit status", Got: fmt.Sprint(r.ourState), Want: fmt.Sprint(want)}
		r.findings = append(r.findings, finding{Difference: d, name: "xdist's exit status against its own events", cause: "unknown"})
	}
	return r, nil
}

// copyModule fetches the module and copies it to where tests may write: the module cache is
// read-only.
func copyModule(ctx context.Context, tmp, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = tmp // outside of any module
	out, err := cmd.Output()
	var info struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &info); jsonErr != nil || err != nil {
		return "", fmt.Errorf("download: %w: %s", errors.Join(err, jsonErr), info.Error)
	}
	dir := filepath.Join(tmp, strings.NewReplacer("/", "_", "@", "_").Replace(module))
	if err := os.CopyFS(dir, os.DirFS(info.Dir)); err != nil {
		return "", fmt.Errorf("copy: %w", err)
	}
	return dir, nil
}

// goTest runs go test -json in dir. An exit status is no error.
func goTest(ctx context.Context, dir string, args ...string) (int, *compare.Model, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-count=1"}, args...)...)
	cmd.Dir = dir
	out, status, err := output(cmd)
	if err != nil {
		return 0, nil, err
	}
	m, err := compare.Read(bytes.NewReader(out))
	return status, m, err
}

// runXdist runs xdist on all packages in dir.
func runXdist(ctx context.Context, o options, tmp, dir string) (int, *compare.Model, error) {
	events := dir + ".json"
	var args []string
	for _, tx := range o.where.tx {
		args = append(args, "--tx", tx)
	}
	cmd := exec.CommandContext(ctx, o.xdist, append(args, "--dist", o.dist, "--jsonfile", events, "./...")...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "XDIST_CACHE="+filepath.Join(tmp, "store"))
	cmd.Stderr = os.Stderr
	status, err := wait(cmd, o.where.start)
	if err != nil {
		return 0, nil, err
	}
	f, err := os.Open(events)
	if err != nil {
		return 0, nil, fmt.Errorf("xdist ended with status %d: %w", status, err)
	}
	defer f.Close()
	m, err := compare.Read(f)
	return status, m, err
}

func output(cmd *exec.Cmd) ([]byte, int, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	status, err := wait(cmd, (*exec.Cmd).Start)
	return out.Bytes(), status, err
}

// wait runs a command to its end and returns its exit status.
func wait(cmd *exec.Cmd, start func(*exec.Cmd) error) (int, error) {
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second // for the command to clean up after an interrupt
	if start == nil {
		start = (*exec.Cmd).Start
	}
	err := start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("run %s: %w", filepath.Base(cmd.Path), err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

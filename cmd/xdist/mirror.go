package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/xspec"
)

// openMirror says how the gateways get the module's files. It is nil when all of them share this
// machine's. release ends this run's hold on its place; it is never nil.
func openMirror(c *cli.Context, command *gotest.Command, cache string, specs []xspec.Spec) (m *hosts.Mirror, release func(), err error) {
	release = func() {}
	local := func(s xspec.Spec) bool { return s.Popen && s.Via == "" }
	if !slices.ContainsFunc(specs, func(s xspec.Spec) bool { return !local(s) }) {
		return nil, release, nil
	}
	root, err := treeRoot(c.Context, command.Dir)
	if err != nil {
		return nil, release, err
	}
	limit, err := parseSize("pull-limit", c.String("pull-limit"))
	if err != nil {
		return nil, release, usageError(err)
	}
	outputs, err := mirroredOutputs(command, root)
	if err != nil {
		return nil, release, err
	}
	names, err := openPlaces(filepath.Join(cache, "mirrors"), root, specs)
	var place string
	if err == nil {
		place, err = names.claim(nil)
	}
	if err != nil {
		return nil, release, fmt.Errorf("choose where the files go on other hosts: %w", err)
	}
	return &hosts.Mirror{
		Source: rsync.Source{
			Root: root, Extra: c.StringSlice("rsyncdir"), Ignore: c.StringSlice("rsyncignore"),
			Cache: filepath.Join(cache, "index"),
		},
		Place: place,
		Dir: func(goos, place string) string {
			sep := "/"
			if goos == "windows" {
				sep = `\`
			}
			return strings.Join([]string{mirrorBase(c, goos), place, filepath.Base(root)}, sep)
		},
		Other:  names.claim,
		Prefer: names.prefer,
		Keep:   c.Bool("mirror-keep"),
		Pull:   append(c.StringSlice("pull"), outputs...), PullLimit: limit,
	}, names.release, nil
}

// mirrorBase is the directory of mirrors on hosts of a GOOS.
func mirrorBase(c *cli.Context, goos string) string {
	usual := "/var/tmp"
	if goos == "windows" {
		usual = `C:\ProgramData`
	}
	return cmp.Or(c.String("mirror-dir"), usual)
}

// treeRoot is the directory of the workspace or module that the tests belong to.
func treeRoot(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "-json", "GOMOD", "GOWORK")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the module: ask go env: %w", err)
	}
	var env struct{ GOMOD, GOWORK string }
	if err := json.Unmarshal(out, &env); err != nil {
		return "", fmt.Errorf("find the module: read the answer of go env: %w", err)
	}
	switch {
	case env.GOWORK != "" && env.GOWORK != "off":
		return filepath.Dir(env.GOWORK), nil
	case env.GOMOD != "" && env.GOMOD != os.DevNull:
		return filepath.Dir(env.GOMOD), nil
	}
	return "", errors.New("find the module: there is no go.mod here or above, and other hosts need to know which files to have")
}

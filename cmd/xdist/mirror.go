package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/internal/lockfile"
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
	places := filepath.Join(cache, "mirrors")
	place, release, err := claimPlace(places, root, accounts(specs))
	if err != nil {
		return nil, release, fmt.Errorf("choose where the files go on other hosts: %w", err)
	}
	return &hosts.Mirror{
		Source: rsync.Source{
			Root: root, Extra: c.StringSlice("rsyncdir"), Ignore: c.StringSlice("rsyncignore"),
			Cache: filepath.Join(cache, "index"),
		},
		Dir: func(goos string) string {
			sep := "/"
			if goos == "windows" {
				sep = `\`
			}
			return strings.Join([]string{mirrorBase(c, goos), place, filepath.Base(root)}, sep)
		},
		Taken: func() { os.WriteFile(filepath.Join(places, place+takenSuffix), nil, 0o600) }, // else the next run finds out, too
		Keep:  c.Bool("mirror-keep"),
		Pull:  append(c.StringSlice("pull"), outputs...), PullLimit: limit,
	}, release, nil
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

// placesAtMost is how many runs of one module there may be at once.
const placesAtMost = 100

// takenSuffix is that of the file which says that a host has a place that is another user's.
const takenSuffix = ".taken"

var (
	account   = regexp.MustCompile(`([^\s@/]+)@`)
	loginName = regexp.MustCompile(`-l\s*(\S+)`)
)

// accounts are the users that specs name, sorted: each needs mirrors of its own.
func accounts(specs []xspec.Spec) []string {
	var all []string
	for _, s := range specs {
		for _, form := range []*regexp.Regexp{account, loginName} {
			if m := form.FindStringSubmatch(s.SSH); m != nil {
				all = append(all, m[1])
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// claimPlace returns a name for the directory of a mirror of root that no other run uses, on any
// host, and is the same every time: other controllers have another one, and so have other accounts
// on the hosts, and another run in the same module that is not over. A name that is another user's
// on some host is left out.
func claimPlace(dir, root string, accounts []string) (place string, release func(), err error) {
	release = func() {}
	id, err := controllerID(dir)
	if err != nil {
		return "", release, err
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{id, root}, accounts...), "\x00")))
	name := "xdist-" + hex.EncodeToString(sum[:8])
	for i := range placesAtMost {
		place := fmt.Sprintf("%s-%d", name, i)
		if _, err := os.Lstat(filepath.Join(dir, place+takenSuffix)); err == nil {
			continue
		}
		lock := lockfile.New(filepath.Join(dir, place+".lock"))
		ok, err := lock.TryLock()
		if err != nil {
			return "", release, err
		}
		if ok {
			return place, func() { lock.Unlock() }, nil // the end of the process does it too
		}
	}
	return "", release, fmt.Errorf("%d runs in %s are going on, or their directories on hosts are other users'", placesAtMost, root)
}

// controllerID is a text that tells this user on this machine from all others. It is kept in dir.
func controllerID(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	name := filepath.Join(dir, "controller")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.WriteString(rand.Text())
		err = errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	id, err := os.ReadFile(name)
	return string(id), err
}

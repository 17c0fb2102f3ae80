package gotest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Platform is what test binaries are built for, and with. Platforms can be compared. The zero value
// is what the go command does when nobody tells it otherwise.
type Platform struct {
	GOOS, GOARCH string // "" leaves the choice to the go command
	Go           string // a toolchain as GOTOOLCHAIN has it, such as go1.25.3; "" leaves the choice to the go command
	Trim         Trim
	Remote       bool // the binaries are made by another host, for itself, with a Go of its own
}

// Trim lets binaries speak of the files below Root as of files below Mirror: runtime.Caller,
// panics, -fullpath. Both are absolute, the second one on the host where the binaries run. The zero
// value changes nothing.
type Trim struct{ Root, Mirror string }

// String is the platform for people: "linux/arm64", "linux/amd64 go1.25.3", "linux/amd64 remote".
// The zero Platform has none.
func (p Platform) String() string {
	var parts []string
	if p.GOOS != "" || p.GOARCH != "" {
		parts = append(parts, p.GOOS+"/"+p.GOARCH)
	}
	if p.Go != "" {
		parts = append(parts, p.Go)
	}
	if p.Remote {
		parts = append(parts, "remote")
	}
	return strings.Join(parts, " ")
}

// RunDir is the part of a run's private directory that the builds for p have to themselves; Load
// makes it.
func (p Platform) RunDir(dir string) string {
	if p == (Platform{}) {
		return dir
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{p.GOOS, p.GOARCH, p.Go, p.Trim.Root, p.Trim.Mirror}))
	return filepath.Join(dir, strings.Map(fileNameRune, p.String())+"-"+hex.EncodeToString(sum[:4]))
}

func fileNameRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
		return r
	}
	return '-'
}

// Environ returns env with what makes the go command build for p. Nil is os.Environ(). Code is
// cross-compiled without cgo, as the go command does by itself, unless the user has named a C
// compiler along with CGO_ENABLED.
func (p Platform) Environ(env []string) []string {
	if env == nil {
		env = os.Environ()
	}
	had := env
	env = slices.Clip(env)
	for _, v := range []struct{ name, value string }{{"GOOS", p.GOOS}, {"GOARCH", p.GOARCH}, {"GOTOOLCHAIN", p.Go}} {
		if v.value != "" {
			env = append(env, v.name+"="+v.value)
		}
	}
	if p.crosses() && lookupEnv(had, "CC") == "" {
		env = append(env, "CGO_ENABLED=0")
	}
	return env
}

// crosses reports whether p asks for another platform than this one.
func (p Platform) crosses() bool {
	return p.GOOS != "" && p.GOOS != runtime.GOOS || p.GOARCH != "" && p.GOARCH != runtime.GOARCH
}

// ToolchainError says that the toolchain of a platform cannot be had.
type ToolchainError struct {
	Go  string // as asked for
	Err error
}

func (e *ToolchainError) Error() string {
	return fmt.Sprintf("use toolchain %s: %v", e.Go, e.Err)
}

func (e *ToolchainError) Unwrap() error { return e.Err }

// release is a name of exactly one toolchain.
var release = regexp.MustCompile(`^go1(\.\d+)+((rc|beta)\d+)?$`)

// FindToolchain is the function of that name for p. A toolchain that is not there is got by the go
// command as the user has set that up (GOPROXY, GOSUMDB). Errors: *ToolchainError when p asks for a
// toolchain that cannot be had; nothing else is used in its place.
func (p Platform) FindToolchain(ctx context.Context, name, dir string) (Toolchain, error) {
	t, err := FindToolchain(ctx, name, dir, p.Environ(nil))
	switch {
	case p.Go == "":
		return t, err
	case err != nil:
		return t, &ToolchainError{p.Go, err}
	}
	version, _, _ := strings.Cut(t.GOVERSION, " ") // of "go1.26.1 X:experiment"
	if release.MatchString(p.Go) && version != p.Go {
		return t, &ToolchainError{p.Go, fmt.Errorf("the go command on PATH is %s and takes no notice", t.GOVERSION)}
	}
	return t, nil
}

// For returns the command with the build flags that p adds to it. goflags is the effective GOFLAGS.
//
// Files below Trim.Root are renamed by a flag for the compiler, for the packages below that
// directory: the modules of a workspace, vendored ones, and replacements that are in the tree. All
// others compile as they do anywhere. Of several -gcflags the last one that matches a package
// counts, so those of the user, in GOFLAGS too, are given again with the renaming added. A command
// with -trimpath stays as it is: its binaries hold no paths.
func (c *Command) For(p Platform, goflags string) (*Command, error) {
	if p.Trim == (Trim{}) {
		return c, nil
	}
	fields, err := splitQuoted(goflags)
	if err != nil {
		return nil, usagef("go: parsing $GOFLAGS: %v", err)
	}
	given := slices.Concat(fields, c.BuildFlags)
	if trimsPaths(given) {
		return c, nil
	}
	pattern, trim, err := p.Trim.gcflags(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("rename %s to %s in test binaries: %w", p.Trim.Root, p.Trim.Mirror, err)
	}
	with := *c
	with.BuildFlags = append(slices.Clip(c.BuildFlags), "-gcflags="+pattern+"="+trim)
	for _, f := range given {
		if name, value, _ := strings.Cut(strings.TrimLeft(f, "-"), "="); name == "gcflags" {
			with.BuildFlags = append(with.BuildFlags, "-gcflags="+addGcflag(value, trim))
		}
	}
	return &with, nil
}

// trimsPaths reports whether the last -trimpath among flags is on.
func trimsPaths(flags []string) bool {
	on := false
	for _, f := range flags {
		if name, value, has := strings.Cut(strings.TrimLeft(f, "-"), "="); name == "trimpath" {
			on = !has || slices.Contains([]string{"1", "t", "T", "true", "TRUE", "True"}, value)
		}
	}
	return on
}

// gcflags returns a pattern for the packages below the root, seen from the directory in which the
// go command works, and the compiler's flag.
func (t Trim) gcflags(dir string) (pattern, flag string, err error) {
	rel, err := filepath.Rel(dir, t.Root)
	if err != nil {
		return "", "", err
	}
	if pattern = filepath.ToSlash(rel); pattern != "." && !strings.HasPrefix(pattern, "..") {
		pattern = "./" + pattern
	}
	if strings.ContainsAny(pattern, "=") || strings.Contains(pattern, "...") {
		return "", "", fmt.Errorf("the go command cannot name %q in -gcflags", pattern)
	}
	for _, path := range []string{t.Root, t.Mirror} {
		if strings.Contains(path, "=>") || strings.Contains(path, ";") {
			return "", "", fmt.Errorf("the compiler's -trimpath cannot name %q", path)
		}
	}
	flag, err = quoteFields([]string{"-trimpath=" + t.Root + "=>" + t.Mirror})
	return pattern + "/...", flag, err
}

// addGcflag adds a flag to the value of a -gcflags, before the user's own, which can say the same
// in another way.
func addGcflag(value, flag string) string {
	value = strings.TrimSpace(value)
	pattern, flags, _ := strings.Cut(value, "=")
	switch {
	case value == "":
		return flag
	case !strings.HasPrefix(value, "-"):
		return pattern + "=" + strings.TrimSpace(flag+" "+flags)
	case strings.HasPrefix(flag, "-"):
		return flag + " " + value
	}
	return value + " " + flag // a value that begins with a quote would be taken for a pattern
}

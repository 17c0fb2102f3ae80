package gotest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/unit"
)

// minGoMinor is the oldest Go 1.x that can be driven: `go test -json` reports failed builds as
// events since 1.24.
const minGoMinor = 24

// listWaitDelay is how long an interrupted go command may take to remove its temporary files before
// it is killed. It needs a few milliseconds unless the disk is stuck.
const listWaitDelay = 2 * time.Second

// ListConfig says what to list. Command must be set; the rest has the defaults that are documented.
type ListConfig struct {
	Command *Command
	Go      string   // the go command; "" is "go"
	GOROOT  string   // of the go command; used in messages only
	Env     []string // of the go command; nil is os.Environ()
	Dir     string   // where the go command starts, before -C; "" is the current directory
	Export  bool     // compile what has changed, without linking, to fill in the link keys
	Cross   bool     // Env builds for another platform, without cgo: find out what is left out by that
}

// Listing is the static collection of a command's packages. Its methods are not for concurrent use.
type Listing struct {
	Packages []Package // in the order of `go test`
	Excluded []Package // with Cross, those that are there with cgo only
	Warnings []string  // the go command's, such as a pattern that matches no packages
	Stderr   string    // what else the go command wrote there

	misplaced []error // directives that mean nothing

	inputs *linkInputs // without Export those of the matched packages alone, with no build ids
}

// Package is a package that a command's patterns match.
type Package struct {
	ImportPath  string
	Dir         string // absolute; tests run in it. "" is one of another host that is not here too
	NoTestFiles bool
	Items       []Item // what -run and -skip leave, in the order in which the binary runs it
	HasTestMain bool
	Serial      bool   // a directive says that its tests need each other
	Undivided   string // why its tests must run in one process, "" when nothing says so: "reads os.Args"
	Partial     bool   // Items are a part of the package; somebody else runs the others

	// Err says why the package cannot be loaded; `go test` reports it as [setup failed]. Not all
	// such errors are known here: those of imports that only tests have, and compile errors, are
	// left for `go test` to find.
	Err string

	NeedsCgo bool // with Cross: some of its files are left out because they need cgo

	// LinkKey is a hash of everything that the test binary, and vet's verdict on the package,
	// depend on: packages with equal keys have equal test binaries. It is "" where no such promise
	// can be made (see linkKeys), and without Export.
	LinkKey string
}

// ID is the test id of an item of a package.
func ID(importPath, name string) string { return importPath + "::" + name }

// Filter returns those of items that the command's -run and -skip leave, as far as their top-level
// elements go. A pattern that does not compile is a *UsageError with the testing package's text.
func (c *Command) Filter(items []Item) ([]Item, error) {
	if c.Run == "" && c.Skip == "" {
		return items, nil
	}
	names := make([]string, len(items))
	for i, it := range items {
		names[i] = it.Name
	}
	kept, err := unit.Match(c.Run, c.Skip, names)
	if err != nil {
		return nil, usagef("%v", err)
	}
	var left []Item
	for _, it := range items { // kept is a subsequence of names, and names are unique only within a correct package
		if len(kept) > 0 && kept[0] == it.Name {
			left, kept = append(left, it), kept[1:]
		}
	}
	return left, nil
}

// TooOldError is a go command that lacks what xdist needs.
type TooOldError struct{ Version, GOROOT string }

func (e *TooOldError) Error() string {
	where := ""
	if e.GOROOT != "" {
		where = " in " + e.GOROOT
	}
	return fmt.Sprintf("use the go command: %s%s is too old: go1.%d is the first that reports failed builds in go test -json", e.Version, where, minGoMinor)
}

// NoPackagesError says that the command's patterns match nothing at all.
type NoPackagesError struct {
	Patterns []string
	Warnings []string // the go command's, a pattern each
}

func (e *NoPackagesError) Error() string {
	msg := fmt.Sprintf("list packages %q: no packages to test", e.Patterns)
	if len(e.Warnings) > 0 {
		msg += ": " + strings.Join(e.Warnings, "; ")
	}
	return msg
}

// NotInModuleError says that the patterns need a module and the directory is in none.
type NotInModuleError struct {
	Dir    string // "" is the current directory
	Detail string // the go command's own text
}

func (e *NotInModuleError) Error() string {
	return fmt.Sprintf("list packages in %q: not in a Go module: %s", cmp.Or(e.Dir, "."), e.Detail)
}

// ListError is a go command that ended without listing anything.
type ListError struct {
	Status string // "exit status 1"
	Stderr string
}

func (e *ListError) Error() string {
	return fmt.Sprintf("list packages: go list: %s: %s%s", e.Status, cmp.Or(e.Stderr, "it says nothing"), advise(e.Status))
}

// List asks `go list` for the packages of a command, and finds their tests. No code of the module
// is run, and without Export nothing is compiled. A package with an error is in the listing; a
// listing with no package is an error: *UsageError for a bad -run or -skip, *NoPackagesError,
// *NotInModuleError, *TooOldError, *ListError for what else the go command refuses,
// *DirectiveErrors that are joined for directives that mean nothing, and one that wraps
// exec.ErrNotFound where there is no go command.
//
// When ctx ends, the go command and all it has started are interrupted, and List returns ctx's
// cause once they are gone, after two seconds at the latest.
func List(ctx context.Context, cfg ListConfig) (*Listing, error) {
	if _, err := cfg.Command.Filter([]Item{{Name: "TestX"}}); err != nil {
		return nil, err
	}
	overlay, err := ReadOverlay(cfg.Command.Overlay, cfg.Command.Dir)
	if err != nil {
		return nil, err
	}
	envc := make(chan goEnvResult, 1)
	go func() {
		env, err := readGoEnv(ctx, cfg)
		envc <- goEnvResult{env, err}
		close(envc)
	}()
	cgoc := make(chan withCgo, 1)
	go func() {
		if cfg.Cross {
			cgoc <- listWithCgo(ctx, cfg)
		}
		close(cgoc)
	}()
	listed, stderr, listErr := runGoList(ctx, cfg)
	env, cgo := <-envc, <-cgoc
	if err := listFailure(ctx, cfg, env, listErr, stderr, listed); err != nil {
		return nil, err
	}
	l := newListing(cfg, listed, overlay)
	if len(l.misplaced) > 0 {
		return nil, errors.Join(l.misplaced...)
	}
	l.splitStderr(stderr)
	if cfg.Cross {
		l.addExcluded(cgo, listed, overlay)
	}
	if len(l.Packages)+len(l.Excluded) == 0 {
		return nil, &NoPackagesError{cfg.Command.Packages, l.Warnings}
	}
	for _, packages := range [][]Package{l.Packages, l.Excluded} {
		for i := range packages {
			if packages[i].Items, err = cfg.Command.Filter(packages[i].Items); err != nil {
				return nil, err
			}
		}
	}
	l.inputs = newLinkInputs(cfg, env.env, listed)
	if cfg.Export {
		l.inputs.linkKeys(l.Packages)
	}
	return l, nil
}

// listFailure is why there is no listing, the most telling reason first; nil when there is one.
func listFailure(ctx context.Context, cfg ListConfig, env goEnvResult, listErr error, stderr string, listed []listedPackage) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(listErr, exec.ErrNotFound) {
		return fmt.Errorf("start the go command: %w: install Go (https://go.dev/dl), or put its bin directory on PATH", listErr)
	}
	if env.err == nil && tooOld(env.env["GOVERSION"]) {
		return &TooOldError{env.env["GOVERSION"], cmp.Or(env.env["GOROOT"], cfg.GOROOT)}
	}
	if env.err == nil && env.env["GOMOD"] == os.DevNull && (env.env["GOWORK"] == "" || env.env["GOWORK"] == "off") {
		if detail := noModuleDetail(listErr, stderr, listed); detail != "" {
			return &NotInModuleError{cfg.Command.Chdir, detail}
		}
	}
	var exit *exec.ExitError
	switch {
	case errors.As(listErr, &exit):
		return &ListError{exit.String(), strings.TrimSpace(stderr)}
	case listErr != nil:
		return fmt.Errorf("list packages: %w", listErr)
	case env.err != nil:
		return fmt.Errorf("ask go env: %w", env.err)
	}
	return nil
}

// noModuleDetail returns the go command's complaint when outside of a module nothing could be
// loaded.
func noModuleDetail(listErr error, stderr string, listed []listedPackage) string {
	if listErr != nil {
		return strings.TrimSpace(stderr)
	}
	detail := ""
	for _, p := range listed {
		if !p.matched() {
			continue
		}
		if p.Error == nil {
			return ""
		}
		detail = cmp.Or(detail, p.Error.Err)
	}
	return detail
}

// tooOld reads "go1.24.3", "go1.26-custom" and "devel go1.27-abc". What it cannot read is not too
// old.
func tooOld(version string) bool {
	_, rest, ok := strings.Cut(version, "go1.")
	var minor int
	if !ok {
		return false
	}
	_, err := fmt.Sscanf(rest, "%d", &minor)
	return err == nil && minor < minGoMinor
}

// listedPackage is what is read of `go list -json`. Its fields are go list's.
type listedPackage struct {
	ImportPath, Dir, Name, ForTest, BuildID, DefaultGODEBUG string

	DepOnly, Standard, Incomplete     bool
	Match, Imports                    []string
	Module                            *listedModule
	Error                             *listedError
	DepsErrors                        []*listedError
	TestGoFiles, XTestGoFiles         []string
	GoFiles, CgoFiles                 []string
	IgnoredGoFiles, IgnoredOtherFiles []string
	CFiles, CXXFiles, MFiles, FFiles  []string
	HFiles, SFiles, SysoFiles         []string
	SwigFiles, SwigCXXFiles           []string
	EmbedFiles                        []string
	TestEmbedFiles, XTestEmbedFiles   []string
	CgoLDFLAGS, CgoPkgConfig          []string
}

type listedModule struct{ GoMod string }

type listedError struct{ Pos, Err string }

// matched tells whether a pattern of the command line matches the package. Its test variants and
// its generated main package are not meant.
func (p *listedPackage) matched() bool {
	return !p.DepOnly && p.ForTest == "" && len(p.Match) > 0
}

// loadError is why the package cannot be loaded, in go test's form, "" if it can be. With Export go
// list reports failed compilations too, which begin with a line "# package": go test calls those
// [build failed]. What a killed compiler leaves behind is for go test to find out, too.
func (p *listedPackage) loadError() string {
	for _, e := range append([]*listedError{p.Error}, p.DepsErrors...) {
		if e == nil || strings.HasPrefix(e.Err, "# ") || killedTool.MatchString(e.Err) {
			continue
		}
		if e.Pos != "" {
			return e.Pos + ": " + e.Err
		}
		return e.Err
	}
	return ""
}

const (
	listFields = "ImportPath,Dir,Match,DepOnly,ForTest,Error,DepsErrors,TestGoFiles,XTestGoFiles,Standard,Module," +
		"GoFiles,CgoFiles,CFiles,CXXFiles,MFiles,FFiles,HFiles,SFiles,SysoFiles,SwigFiles,SwigCXXFiles," +
		"EmbedFiles,TestEmbedFiles,XTestEmbedFiles,IgnoredGoFiles,IgnoredOtherFiles"
	exportFields = ",Name,BuildID,DefaultGODEBUG,Imports,CgoLDFLAGS,CgoPkgConfig"
)

// listArgs is go list's command line. -C stays first. parallel is -p, or 0 for the command's own.
func listArgs(cfg ListConfig, parallel int) []string {
	args := []string{"list"}
	for _, f := range cfg.Command.BuildFlags {
		switch name, _, _ := strings.Cut(f, "="); name {
		case "-x", "-work", "-a", "-debug-actiongraph", "-debug-runtime-trace", "-debug-trace":
			// They show or repeat what is done; go test does it in earnest.
		default:
			args = append(args, f)
		}
	}
	if parallel > 0 {
		args = append(args, fmt.Sprintf("-p=%d", parallel))
	}
	if !cfg.Export {
		args = append(args, "-e", "-json="+listFields)
	} else {
		if !cfg.Command.vcsStamped {
			// go list would stamp packages with the state of the repository, which go test does
			// only when it is told to.
			args = append(args, "-buildvcs=false")
		}
		args = append(args, "-e", "-test", "-deps", "-export", "-json="+listFields+exportFields)
	}
	return append(append(args, "--"), cfg.Command.Packages...)
}

func goListCommand(ctx context.Context, cfg ListConfig, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, cmp.Or(cfg.Go, "go"), args...)
	cmd.Dir, cmd.Env = cfg.Dir, cfg.Env
	ownGroup(cmd)
	cmd.WaitDelay = listWaitDelay
	return cmd
}

// runGoList runs the go command, and once more with half of the parallelism when it was killed. A
// warning in stderr says so.
func runGoList(ctx context.Context, cfg ListConfig) (listed []listedPackage, stderr string, err error) {
	listed, stderr, err = goList(ctx, cfg, 0)
	if ctx.Err() == nil && wasKilled(err) {
		p := halfParallelism(cfg.Command)
		listed, stderr, err = goList(ctx, cfg, p)
		if err != nil {
			return nil, stderr, err
		}
		stderr = fmt.Sprintf("%sgo list was killed, as the system does when memory is short; listing again with -p=%d\n%s", listWarning, p, stderr)
	}
	return listed, stderr, err
}

// goList decodes while the go command still writes.
func goList(ctx context.Context, cfg ListConfig, parallel int) (listed []listedPackage, stderr string, err error) {
	cmd := goListCommand(ctx, cfg, listArgs(cfg, parallel))
	var errText bytes.Buffer
	cmd.Stderr = &errText
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	dec := json.NewDecoder(stdout)
	var decodeErr error
	for decodeErr == nil {
		var p listedPackage
		if decodeErr = dec.Decode(&p); decodeErr == nil {
			listed = append(listed, p)
		}
	}
	if decodeErr != io.EOF {
		_, _ = io.Copy(io.Discard, stdout) // the first error is the one to report
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		killGroup(cmd)
	}
	if err == nil && decodeErr != io.EOF {
		err = fmt.Errorf("read the answer of go list: %w", decodeErr)
	}
	return listed, errText.String(), err
}

// newListing picks the matched packages and finds their tests.
func newListing(cfg ListConfig, listed []listedPackage, overlay Overlay) *Listing {
	l := new(Listing)
	mains := make(map[string]*listedPackage) // the generated main packages, by the package that they test
	var matched []*listedPackage
	for i := range listed {
		p := &listed[i]
		if p.matched() {
			matched = append(matched, p)
		} else if path, ok := strings.CutSuffix(p.ImportPath, ".test"); ok && !p.DepOnly && p.ForTest == "" {
			mains[path] = p
		}
	}
	if cfg.Export {
		sortAsMatched(matched, cfg.Command.Packages)
	}
	found := discoverMatched(matched, mains, overlay)
	for i, p := range matched {
		l.Packages = append(l.Packages, Package{
			ImportPath:  p.ImportPath,
			Dir:         p.Dir,
			NoTestFiles: len(p.TestGoFiles)+len(p.XTestGoFiles) == 0,
			Items:       found[i].Items,
			HasTestMain: found[i].HasTestMain,
			Serial:      found[i].Serial,
			Undivided:   found[i].Undivided,
			Err:         p.loadError(),
		})
		l.misplaced = append(l.misplaced, found[i].Misplaced...)
		if last := &l.Packages[i]; last.Err == "" && found[i].Err != nil {
			last.Err = found[i].Err.Error()
		}
	}
	return l
}

// discoverMatched finds the tests of packages in their sources. Where cmd/go has generated a main
// package that says which there are and in which order.
func discoverMatched(matched []*listedPackage, mains map[string]*listedPackage, overlay Overlay) []Discovery {
	files := make([]TestFiles, len(matched))
	generated := make([]Testmain, len(matched))
	for i, p := range matched {
		files[i] = TestFiles{Dir: p.Dir, Test: p.TestGoFiles, X: p.XTestGoFiles}
		if main := mains[p.ImportPath]; main != nil && main.Error == nil && len(main.GoFiles) == 1 {
			src, err := os.ReadFile(main.GoFiles[0])
			if err == nil {
				generated[i], err = ParseTestmain(src)
			}
			files[i].Known = err == nil
		}
	}
	found := Discover(files, overlay)
	for i, tm := range generated {
		if files[i].Known {
			tm.Items = Annotated(tm.Items, found[i].Items)
			found[i].Testmain, found[i].Err = tm, nil
		}
	}
	return found
}

// Annotated returns items with what is known only of their sources: file and directives. sources
// are those that Discover found.
func Annotated(items, sources []Item) []Item {
	known := make(map[string]Item, len(sources))
	for _, it := range sources {
		known[it.Name] = it
	}
	out := slices.Clone(items)
	for i := range out {
		it := known[out[i].Name]
		out[i].File, out[i].Directives = it.File, it.Directives
	}
	return out
}

// sortAsMatched undoes the order of -deps: pattern by pattern, and within a pattern as a walk
// through the directories meets them when it is a directory's, by import path otherwise.
func sortAsMatched(matched []*listedPackage, patterns []string) {
	slices.SortStableFunc(matched, func(a, b *listedPackage) int {
		pattern := a.Match[0]
		if c := cmp.Compare(slices.Index(patterns, pattern), slices.Index(patterns, b.Match[0])); c != 0 {
			return c
		}
		if build.IsLocalImport(pattern) || filepath.IsAbs(pattern) {
			return slices.Compare(strings.Split(a.ImportPath, "/"), strings.Split(b.ImportPath, "/"))
		}
		return cmp.Compare(a.ImportPath, b.ImportPath)
	})
}

// listWarning begins each warning of go list.
const listWarning = "go: warning: "

func (l *Listing) splitStderr(text string) {
	var rest strings.Builder
	for line := range strings.Lines(text) {
		if w, ok := strings.CutPrefix(line, listWarning); ok {
			l.Warnings = append(l.Warnings, strings.TrimSpace(w))
		} else {
			rest.WriteString(line)
		}
	}
	l.Stderr = rest.String()
}

type goEnvResult struct {
	env map[string]string
	err error
}

// readGoEnv is `go env -json` as the module in the command's directory has it: its toolchain line
// can choose another go.
func readGoEnv(ctx context.Context, cfg ListConfig) (map[string]string, error) {
	args := []string{"env", "-json"}
	if c := cfg.Command.Chdir; c != "" {
		args = slices.Insert(args, 1, "-C="+c)
	}
	cmd := goListCommand(ctx, cfg, args)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		killGroup(cmd)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	env := make(map[string]string)
	return env, json.Unmarshal(out, &env)
}

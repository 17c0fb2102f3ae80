package gotest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A link key hashes what the linked test binary of a package, and vet's verdict on the package, are
// a function of:
//
//   - The build ids of all packages that go into the binary, test variants and the generated main
//     package included. A build id is "action/content". The first half hashes what the compiler is
//     given: the contents of the sources and of embedded files (never their times), the package's
//     directory unless -trimpath is set, the compiler's own id, its flags, GOOS, GOARCH and GOAMD64
//     or its like, the language version, and for a package that uses cgo the C compiler's id and
//     flags. The second half hashes what came out.
//   - The source of the generated main package, in the place of its build id, which differs between
//     `go test` and `go list`. What else goes into that one are build settings, go.mod and go.work,
//     which are hashed too.
//   - What the linker is given besides: its flags, the default GODEBUG, the environment that it
//     reads, GOROOT, and the linker itself.
//   - What vet reads besides: its flags, itself, and the files that build constraints leave out.
//
// These have no key, and must go through `go test`: packages that do not compile; coverage and
// fuzzing, which instrument other code than go list compiles; -toolexec and -linkshared, whose
// effects on the link have no id; gccgo; -a, which asks for a rebuild; -buildvcs=true, which puts
// the state of the repository into the generated main package; packages that link C libraries from
// outside of Go's own tree, which can change without Go's notice.
//
// There are two ways to a key. Before a build, `go list -export` tells the build ids; what is found
// in the store by such a key is used (linkKey). After a build, the go command's account of it tells
// what went into each binary, and the binary is stored under that (builtKey): what the sources were
// at any other time has no part in it.

// linkInputs are the packages of a listing with Export, by import path as go list has it ("q
// [p.test]" for a test variant).
type linkInputs struct {
	packages map[string]*listedPackage
	common   string   // what all keys have in common
	linked   []string // what the linker imports on its own account (cmd/go/internal/load.LinkerDeps)
	roots    []string // those of them that are listed
	refused  bool     // the command has no keys

	// linkerAsked says that flags can make the linker import more than linked, as the go command
	// knows and we can only guess: a key that was not made from its account of the build proves
	// nothing then. A wrong guess finds nothing in the store.
	linkerAsked bool

	// foreignLibraries says that the C linker is told of libraries by other means than the sources:
	// what is in them is in no key.
	foreignLibraries bool

	moduleFiles []string                 // go.mod and its like
	modCache    string                   // the module cache with a separator behind; nothing in it changes
	changed     map[changedKey]time.Time // when the sources of packages last changed, filled on demand
}

// changedKey names a package and whether its directories count as sources.
type changedKey struct {
	name        string
	directories bool
}

// linkEnv are the variables, besides GOFLAGS's like, that reach the compiler, the linker or the C
// tools. The first group is in `go env`; go reads the second from the environment alone.
var linkEnv = []string{
	"GOVERSION", "GOROOT", "GOTOOLDIR", "GOOS", "GOARCH", "GOEXPERIMENT", "GOFLAGS", "GOFIPS140", "GOHOSTOS", "GOHOSTARCH",
	"GO386", "GOAMD64", "GOARM", "GOARM64", "GOMIPS", "GOMIPS64", "GOPPC64", "GORISCV64", "GOWASM", "GO111MODULE",
	"CGO_ENABLED", "CC", "CXX", "FC", "AR", "GCCGO", "PKG_CONFIG",
	"CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_FFLAGS", "CGO_LDFLAGS",
}

var linkOSEnv = []string{"GO_EXTLINK_ENABLED", "GO_LDSO", "PKG_CONFIG_PATH", "LIBRARY_PATH", "MACOSX_DEPLOYMENT_TARGET", "SDKROOT"}

// defaultCgoFlags is CGO_LDFLAGS when nobody has set it.
const defaultCgoFlags = "-O2 -g"

func newLinkInputs(cfg ListConfig, env map[string]string, listed []listedPackage) *linkInputs {
	c := cfg.Command
	in := &linkInputs{
		packages: make(map[string]*listedPackage, len(listed)),
		refused:  c.Cover || c.Fuzz != "" || c.Rebuild || c.Overlay != "" || c.vcsStamped,
		modCache: env["GOMODCACHE"] + string(filepath.Separator),
		changed:  make(map[changedKey]time.Time),
	}
	in.foreignLibraries = env["CGO_LDFLAGS"] != defaultCgoFlags || slices.ContainsFunc(c.BuildFlags, func(f string) bool {
		return strings.HasPrefix(f, "-ldflags=") && strings.Contains(f, "extld")
	}) || strings.Contains(env["GOFLAGS"], "extld")
	in.addCommon(cfg, env)
	for i := range listed {
		in.add(&listed[i])
	}
	if name := env["GOENV"]; name != "" && name != "off" {
		in.moduleFiles = append(in.moduleFiles, name)
	}
	if work := env["GOWORK"]; work != "" && work != "off" {
		in.moduleFiles = append(in.moduleFiles, work, work+".sum")
	}
	slices.Sort(in.moduleFiles)
	in.moduleFiles = slices.Compact(in.moduleFiles)
	return in
}

// addCommon takes in what goes into every link: environment, tools and flags.
func (in *linkInputs) addCommon(cfg ListConfig, env map[string]string) {
	var common strings.Builder
	fmt.Fprintf(&common, "xdist link key 2\nvet %q\n", cfg.Command.Vet)
	for _, name := range linkEnv {
		fmt.Fprintf(&common, "%s=%q\n", name, env[name])
	}
	for _, name := range linkOSEnv {
		fmt.Fprintf(&common, "%s=%q\n", name, lookupEnv(cfg.Env, name))
	}
	for _, tool := range []string{"link", "vet"} {
		fmt.Fprintf(&common, "%s %s\n", tool, fileStamp(filepath.Join(env["GOTOOLDIR"], tool+env["GOEXE"])))
	}
	for _, name := range []string{"GOMOD", "GOWORK"} { // the versions of modules are in the build information
		if file := env[name]; file != "" && file != "off" && !hashFile(&common, filepath.Dir(file), filepath.Base(file)) {
			in.refused = true
		}
	}
	in.linked = []string{"runtime", "runtime/race", "runtime/msan", "runtime/asan"}
	if env["GOARCH"] == "arm" {
		in.linked = append(in.linked, "math")
	}
	goflags, err := splitQuoted(env["GOFLAGS"])
	if err != nil {
		in.refused = true // go list would have refused it too
	}
	for _, f := range slices.Concat(goflags, cfg.Command.BuildFlags) {
		switch name, _, _ := strings.Cut(strings.TrimPrefix(f, "-"), "="); strings.TrimPrefix(name, "-") {
		case "toolexec", "linkshared", "compiler":
			in.refused = true
		case "p", "x", "work", "C", "debug-actiongraph", "debug-runtime-trace", "debug-trace":
			// They do not change what is built. The directory that -C leads to is in each package's
			// build id.
		case "ldflags", "buildmode":
			in.linkerAsked = true
			if strings.Contains(f, "linkmode") && strings.Contains(f, "external") {
				in.linked = append(in.linked, "runtime/cgo")
			}
			fallthrough
		default:
			fmt.Fprintf(&common, "flag %q\n", f)
		}
	}
	in.common = common.String()
}

func (in *linkInputs) add(p *listedPackage) {
	in.packages[p.ImportPath] = p
	if slices.Contains(in.linked, p.ImportPath) {
		in.roots = append(in.roots, p.ImportPath)
	}
	if p.Module != nil && p.Module.GoMod != "" && !strings.HasPrefix(p.Module.GoMod, in.modCache) {
		in.moduleFiles = append(in.moduleFiles, p.Module.GoMod, strings.TrimSuffix(p.Module.GoMod, ".mod")+".sum",
			filepath.Join(filepath.Dir(p.Module.GoMod), "vendor", "modules.txt"))
	}
}

// lookupEnv reads a variable of a process' environment, where nil is ours and the last entry wins.
func lookupEnv(env []string, name string) string {
	if env == nil {
		return os.Getenv(name)
	}
	for _, e := range slices.Backward(env) {
		if key, value, ok := strings.Cut(e, "="); ok && key == name {
			return value
		}
	}
	return ""
}

// fileStamp tells versions of a tool apart without reading its megabytes.
func fileStamp(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return "none" // newer Go builds some tools on demand: GOVERSION stands for them
	}
	return fmt.Sprintf("%q %d %d", name, info.Size(), info.ModTime().UnixNano())
}

func (in *linkInputs) linkKeys(packages []Package) {
	if in.refused {
		return
	}
	for i := range packages {
		if p := &packages[i]; p.Err == "" {
			p.LinkKey = in.linkKey(p.ImportPath)
		}
	}
}

// linkKey is the key of a package's test binary, or of the package itself when it has no test
// files; "" when it can have none.
func (in *linkInputs) linkKey(path string) string {
	p := in.packages[path]
	main, made := p, linked{}
	if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
		main = in.packages[path+".test"]
	}
	if main == nil || main.Error != nil || len(main.DepsErrors) > 0 {
		return ""
	}
	if main != p {
		if len(main.GoFiles) != 1 {
			return ""
		}
		src, err := os.ReadFile(main.GoFiles[0])
		if err != nil {
			return ""
		}
		made.main, made.godebug = testmainSum(src), main.DefaultGODEBUG
	}
	deps, ok := in.closure(main.ImportPath)
	if !ok {
		return ""
	}
	made.ids = make(map[string]string, len(deps))
	for _, name := range deps {
		dep := in.packages[name]
		if !dep.Standard && (len(dep.CgoLDFLAGS)+len(dep.CgoPkgConfig) > 0 || len(dep.CgoFiles) > 0 && in.foreignLibraries) {
			return ""
		}
		plain, _, _ := strings.Cut(name, " [")
		if _, twice := made.ids[plain]; twice {
			return "" // a binary has one package of a name
		}
		made.ids[plain] = dep.BuildID
	}
	return in.hashKey(p, made)
}

// linked is what a test binary is made of, or a package without test files.
type linked struct {
	ids     map[string]string // build ids by plain import path, without the mark of test variants
	main    string            // testmainSum; "" without test files, as is godebug
	godebug string            // the default GODEBUG
}

// testmainSum stands for a generated main package.
func testmainSum(src []byte) string {
	sum := sha256.Sum256(src)
	return hex.EncodeToString(sum[:])
}

// hashKey hashes what the test binary of p, or p itself when it has no test files, was made of.
func (in *linkInputs) hashKey(p *listedPackage, made linked) string {
	h := sha256.New()
	io.WriteString(h, in.common)
	fmt.Fprintf(h, "package %q\nmain %s godebug %q\n", p.ImportPath, made.main, made.godebug)
	for _, name := range slices.Sorted(maps.Keys(made.ids)) {
		if name == "unsafe" || made.main != "" && name == p.ImportPath+".test" {
			continue // not compiled, or hashed as main
		}
		if made.ids[name] == "" {
			return ""
		}
		fmt.Fprintf(h, "dep %q %s\n", name, made.ids[name])
	}
	for _, name := range slices.Concat(p.IgnoredGoFiles, p.IgnoredOtherFiles) {
		if !hashFile(h, p.Dir, name) {
			return ""
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// hashFile writes a file's base name and a hash of its content.
func hashFile(h io.Writer, dir, name string) bool {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return false
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return false
	}
	fmt.Fprintf(h, "file %q %x\n", name, sum.Sum(nil))
	return true
}

// closure returns the sorted names of what is linked into main, main included. It is false when go
// list did not tell of one of them.
func (in *linkInputs) closure(main string) ([]string, bool) {
	seen := make(map[string]bool)
	todo := []string{main}
	if p := in.packages[main]; p != nil && p.Name == "main" {
		todo = append(todo, in.roots...)
	}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[name] || name == "C" {
			continue
		}
		p := in.packages[name]
		if p == nil {
			return nil, false
		}
		seen[name] = true
		todo = append(todo, p.Imports...)
		if len(p.CgoFiles)+len(p.SwigFiles)+len(p.SwigCXXFiles) > 0 && name != "runtime/cgo" {
			todo = append(todo, cgoImports...) // cgo's generated code has them
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, true
}

var cgoImports = []string{"runtime/cgo", "syscall", "unsafe"}

// clockSlack covers the granularity of the times that file systems keep, which can lie behind the
// clock by a tick.
const clockSlack = 20 * time.Millisecond

// ChangedSince tells whether a file that goes into p's test binary changed after t, p being a
// package of a listing with Export: its link key and what was built since t may then be of
// different sources. Go's own packages (unless they are listed themselves) and the module cache are
// taken not to change. The files are looked at once per listing; without Export the answer is true.
func (l *Listing) ChangedSince(p Package, t time.Time) bool {
	if l.inputs == nil {
		return true
	}
	t = t.Add(-clockSlack)
	for _, name := range l.inputs.moduleFiles {
		if changeTime(name).After(t) {
			return true
		}
	}
	deps, ok := l.inputs.closure(p.ImportPath)
	if !p.NoTestFiles && ok {
		deps, ok = l.inputs.closure(p.ImportPath + ".test")
	}
	if !ok {
		return true
	}
	return l.inputs.changeOf(p.ImportPath, true).After(t) || slices.ContainsFunc(deps, func(dep string) bool {
		return l.inputs.changeOf(dep, true).After(t)
	})
}

// changeOf is when the sources of a package last changed, with the directories that they are in or
// without. A test variant has those of the package itself, which lists its test files too.
func (in *linkInputs) changeOf(name string, directories bool) time.Time {
	p := in.packages[name]
	plain, _, _ := strings.Cut(name, " [")
	if q := in.packages[plain]; q != nil {
		name, p = plain, q
	}
	generated := !p.matched() && !p.DepOnly && strings.HasSuffix(name, ".test")
	if generated || p.Standard && !p.matched() || strings.HasPrefix(p.Dir, in.modCache) {
		return time.Time{}
	}
	key := changedKey{name, directories}
	last, ok := in.changed[key]
	if !ok {
		last = p.changeTime(directories)
		in.changed[key] = last
	}
	return last
}

// changeTime looks at the files that go list knows, and at what has become a source file since.
func (p *listedPackage) changeTime(directories bool) time.Time {
	var last time.Time
	note := func(name string) {
		if t := changeTime(name); t.After(last) {
			last = t
		}
	}
	for _, names := range [][]string{
		p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.MFiles, p.FFiles, p.HFiles, p.SFiles, p.SysoFiles, p.SwigFiles, p.SwigCXXFiles,
		p.TestGoFiles, p.XTestGoFiles, p.IgnoredGoFiles, p.IgnoredOtherFiles,
	} {
		for _, name := range names {
			note(filepath.Join(p.Dir, name))
		}
	}
	for _, names := range [][]string{p.EmbedFiles, p.TestEmbedFiles, p.XTestEmbedFiles} {
		for _, name := range names {
			name = filepath.Join(p.Dir, filepath.FromSlash(name))
			note(name)
			if dir := filepath.Dir(name); directories && dir != p.Dir {
				note(dir) // a pattern may match more files now
			}
		}
	}
	if directories {
		note(p.Dir) // a source may be gone; a test that writes into its directory looks the same, and is built anew
	}
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return time.Now()
	}
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".go", ".s", ".S", ".sx", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90", ".syso", ".swig", ".swigcxx", ".pgo":
			note(filepath.Join(p.Dir, e.Name()))
		}
	}
	return last
}

// changeTime is when a file's content, name or mode last changed, as far as the system tells. A
// file that is gone has changed now, unless nobody said that it was there.
func changeTime(name string) time.Time {
	info, err := os.Stat(name)
	if os.IsNotExist(err) && isModuleFile(name) {
		return time.Time{}
	}
	if err != nil {
		return time.Now()
	}
	return statusChange(info)
}

// isModuleFile tells whether a file is one that a module, or the go command's configuration, need
// not have.
func isModuleFile(name string) bool {
	base := filepath.Base(name)
	return base == "modules.txt" || base == "env" || strings.HasSuffix(base, ".sum")
}

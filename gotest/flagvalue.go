package gotest

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// testFlagNames are the flags that go test forwards to the binary as -test.<name>.
const testFlagNames = " artifacts bench benchmem benchtime blockprofile blockprofilerate count coverprofile cpu cpuprofile " +
	"failfast fullpath fuzz fuzzminimizetime fuzztime list memprofile memprofilerate mutexprofile mutexprofilefraction " +
	"outputdir parallel run short shuffle skip timeout trace v "

// ownFlagNames are go test's flags that are neither for the binary nor shared with `go list` and
// `go build`, or that have a field of their own for another reason.
const ownFlagNames = " c o cover covermode coverpkg exec json n vet "

func isTestFlag(name string) bool { return strings.Contains(testFlagNames, " "+name+" ") }
func isOwnFlag(name string) bool  { return strings.Contains(ownFlagNames, " "+name+" ") }

// flagValues are the variables behind the flag set.
type flagValues struct {
	compile, json, cover, race, msan, asan, dryRun, printCommands, rebuild, work bool
	artifacts, failfast, short                                                   bool

	output, overlay, mod                 string
	run, skip, bench, fuzz, list, cpu    string
	blockProfile, cpuProfile, memProfile string
	mutexProfile, trace                  string
	buildVCS                             string
	coverMode, coverProfile              string
	count, parallel, buildP              int
	timeout                              time.Duration
	coverPkg                             []string
	exec                                 fieldsFlag
	vet                                  vetFlag
	verbose                              verboseFlag
	shuffle                              shuffleFlag
	outputDir                            outputDirFlag
}

// unsetParallelism is -p's value when it is not given; one that is given and not positive is an
// error.
const unsetParallelism = math.MinInt

// newFlagParser returns a parser that knows the flags of `go test`, with the types that they have
// there: what a flag's String returns is what the binary gets.
func newFlagParser() *flagParser {
	p := &flagParser{fs: flag.NewFlagSet("go test", flag.ContinueOnError), c: new(Command), inherited: make(map[string]bool)}
	p.fs.SetOutput(io.Discard)
	p.fs.Usage = func() {}
	addBuildFlags(p.fs, &p.v)
	addOwnFlags(p.fs, &p.v)
	addTestFlags(p.fs, &p.v)
	for name := range strings.FieldsSeq(testFlagNames) {
		p.fs.Var(p.fs.Lookup(name).Value, "test."+name, "")
	}
	return p
}

// addBuildFlags follows cmd/go/internal/work.AddBuildFlags without -v and -json.
func addBuildFlags(fs *flag.FlagSet, v *flagValues) {
	fs.Func("C", "", func(string) error { return errMisplacedChdir })
	fs.BoolVar(&v.dryRun, "n", false, "")
	fs.BoolVar(&v.printCommands, "x", false, "")
	fs.BoolVar(&v.rebuild, "a", false, "")
	fs.BoolVar(&v.work, "work", false, "")
	fs.BoolVar(&v.race, "race", false, "")
	fs.BoolVar(&v.msan, "msan", false, "")
	fs.BoolVar(&v.asan, "asan", false, "")
	fs.StringVar(&v.overlay, "overlay", "", "")
	fs.StringVar(&v.mod, "mod", "", "")
	fs.IntVar(&v.buildP, "p", unsetParallelism, "")
	fs.Var((*buildVCSFlag)(&v.buildVCS), "buildvcs", "")
	for _, name := range []string{"linkshared", "modcacherw", "trimpath"} {
		fs.Bool(name, false, "")
	}
	for _, name := range []string{"buildmode", "installsuffix", "modfile", "pgo", "pkgdir", "debug-actiongraph", "debug-runtime-trace", "debug-trace"} {
		fs.String(name, "", "")
	}
	for _, name := range []string{"asmflags", "gcflags", "gccgoflags", "ldflags"} {
		fs.Func(name, "", checkPackageFlags)
	}
	fs.Func("compiler", "", func(s string) error {
		if s != "gc" && s != "gccgo" {
			return fmt.Errorf("unknown compiler %q", s)
		}
		return nil
	})
	fs.Func("tags", "", func(s string) error {
		if !strings.ContainsAny(s, " '") {
			return nil
		}
		_, err := splitQuoted(s)
		return err
	})
	fs.Func("toolexec", "", func(s string) error {
		_, err := splitQuoted(s)
		return err
	})
}

// addOwnFlags adds what only `go test` has, and the coverage flags.
func addOwnFlags(fs *flag.FlagSet, v *flagValues) {
	fs.BoolVar(&v.compile, "c", false, "")
	fs.StringVar(&v.output, "o", "", "")
	fs.BoolVar(&v.json, "json", false, "")
	fs.Var(&v.exec, "exec", "")
	fs.Var(&v.vet, "vet", "")
	fs.BoolVar(&v.cover, "cover", false, "")
	fs.Var(coverFlag{v, (*coverModeFlag)(&v.coverMode)}, "covermode", "")
	fs.Var(coverFlag{v, (*commaListFlag)(&v.coverPkg)}, "coverpkg", "")
	fs.Var(coverFlag{v, (*textFlag)(&v.coverProfile)}, "coverprofile", "")
}

// addTestFlags adds what is forwarded to the test binary. The binary itself checks the values of
// the plain strings.
func addTestFlags(fs *flag.FlagSet, v *flagValues) {
	fs.BoolVar(&v.artifacts, "artifacts", false, "")
	fs.BoolVar(&v.failfast, "failfast", false, "")
	fs.BoolVar(&v.short, "short", false, "")
	fs.Bool("benchmem", false, "")
	fs.Bool("fullpath", false, "")
	fs.IntVar(&v.count, "count", 1, "")
	fs.IntVar(&v.parallel, "parallel", 0, "")
	fs.DurationVar(&v.timeout, "timeout", DefaultTimeout, "")
	fs.Var(&v.outputDir, "outputdir", "")
	fs.Var(&v.verbose, "v", "")
	fs.Var(&v.shuffle, "shuffle", "")
	for name, value := range map[string]*string{
		"bench": &v.bench, "blockprofile": &v.blockProfile, "cpu": &v.cpu, "cpuprofile": &v.cpuProfile, "fuzz": &v.fuzz,
		"list": &v.list, "memprofile": &v.memProfile, "mutexprofile": &v.mutexProfile, "run": &v.run, "skip": &v.skip,
		"trace": &v.trace,
	} {
		fs.StringVar(value, name, "", "")
	}
	for _, name := range []string{"benchtime", "blockprofilerate", "memprofilerate", "mutexprofilefraction", "fuzztime", "fuzzminimizetime"} {
		fs.String(name, "", "")
	}
}

// fill copies the values to the fields that callers read.
func (v *flagValues) fill(c *Command) {
	c.Run, c.Skip, c.Bench, c.Fuzz, c.List = v.run, v.skip, v.bench, v.fuzz, v.list
	c.Count, c.Parallel, c.Timeout, c.Shuffle = v.count, v.parallel, v.timeout, v.shuffle.String()
	c.Short, c.FailFast, c.Verbose, c.JSON = v.short, v.failfast, v.verbose.on, v.json
	c.Vet, c.Exec = v.vet.text, v.exec
	c.Cover, c.CoverMode, c.CoverPkg, c.CoverProfile = v.cover, v.coverMode, v.coverPkg, v.coverProfile
	c.Artifacts, c.OutputDir = v.artifacts, v.outputDir.abs()
	c.Compile, c.Output, c.BuildP = v.compile, v.output, v.buildP
	c.Race, c.MSan, c.ASan = v.race, v.msan, v.asan
	c.Rebuild, c.Overlay, c.vcsStamped = v.rebuild, v.overlay, v.buildVCS == "true"
	c.PrintCommands, c.DryRun, c.Work = v.printCommands, v.dryRun, v.work
	for cpu := range strings.SplitSeq(v.cpu, ",") {
		if strings.TrimSpace(cpu) != "" {
			c.CPUs++
		}
	}
	c.CPUs = max(c.CPUs, 1)
	if v.buildP == unsetParallelism {
		c.BuildP = 0
	}
	for _, profile := range []struct{ name, file string }{ // in the order in which cmd/go looks for one to name
		{"blockprofile", v.blockProfile}, {"cpuprofile", v.cpuProfile}, {"memprofile", v.memProfile},
		{"mutexprofile", v.mutexProfile}, {"trace", v.trace},
	} {
		if profile.file != "" {
			c.Profiles = append(c.Profiles, profile.name)
		}
	}
}

// check rejects the combinations that go test rejects before it loads packages, in its words.
func (v *flagValues) check(c *Command) error {
	switch {
	case v.race && v.msan:
		return usagef("go: may not use -race and -msan simultaneously")
	case v.race && v.asan:
		return usagef("go: may not use -race and -asan simultaneously")
	case v.msan && v.asan:
		return usagef("go: may not use -msan and -asan simultaneously")
	case v.buildP <= 0 && v.buildP != unsetParallelism:
		return usagef("go: -p must be a positive integer: %d", v.buildP)
	case c.Race && c.CoverMode != "" && c.CoverMode != "atomic":
		return usagef(`-covermode must be "atomic", not %q, when -race is enabled`, c.CoverMode)
	}
	switch v.mod {
	case "", "readonly", "vendor", "mod":
		return nil
	}
	return usagef("-mod=%s not supported (can be '', 'mod', 'readonly', or 'vendor')", v.mod)
}

// checkPackageFlags checks [pattern=]flags, the form of -gcflags and its like.
func checkPackageFlags(s string) error {
	s = strings.TrimSpace(s)
	if s != "" && !strings.HasPrefix(s, "-") {
		pattern, flags, ok := strings.Cut(s, "=")
		switch {
		case !ok:
			return errors.New("missing =<value> in <pattern>=<value>")
		case pattern == "":
			return errors.New("missing <pattern> in <pattern>=<value>")
		case s[0] == '\'' || s[0] == '"':
			return fmt.Errorf("parameter may not start with quote character %c", s[0])
		}
		s = flags
	}
	_, err := splitQuoted(s)
	return err
}

// buildVCSFlag is -buildvcs.
type buildVCSFlag string

func (f *buildVCSFlag) IsBoolFlag() bool { return true }
func (f *buildVCSFlag) String() string   { return string(*f) }
func (f *buildVCSFlag) Set(s string) error {
	if s == "" || s == "auto" {
		*f = "auto"
		return nil
	}
	on, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("value is neither 'auto' nor a valid bool")
	}
	*f = buildVCSFlag(strconv.FormatBool(on))
	return nil
}

// fieldsFlag is -exec.
type fieldsFlag []string

func (f *fieldsFlag) String() string { return "" }
func (f *fieldsFlag) Set(s string) (err error) {
	*f, err = splitQuoted(s)
	return err
}

// vetFlag is -vet. Whether an analyzer exists is for the go command to say.
type vetFlag struct{ text string }

func (f *vetFlag) String() string { return f.text }
func (f *vetFlag) Set(s string) error {
	names := strings.Split(s, ",")
	switch {
	case s == "":
		f.text = ""
		return nil
	case strings.Contains(s, "="):
		return errors.New("-vet argument cannot contain equal signs")
	case strings.Contains(s, " "):
		return errors.New("-vet argument is comma-separated list, cannot contain spaces")
	}
	for _, name := range names {
		if name == "" {
			return errors.New("-vet argument contains empty list element")
		}
	}
	f.text = s
	return nil
}

// verboseFlag is -v.
type verboseFlag struct{ on, json bool }

func (*verboseFlag) IsBoolFlag() bool { return true }
func (f *verboseFlag) String() string {
	if f.json {
		return "test2json"
	}
	return strconv.FormatBool(f.on)
}
func (f *verboseFlag) Set(s string) error {
	on, err := strconv.ParseBool(s)
	switch {
	case err == nil:
		*f = verboseFlag{on: on}
	case s == "test2json":
		*f = verboseFlag{on: true, json: true}
	default:
		return fmt.Errorf("invalid flag -test.v=%s", s)
	}
	return nil
}

// shuffleFlag is -shuffle.
type shuffleFlag struct{ text string }

func (f *shuffleFlag) String() string {
	if f.text == "" {
		return "off"
	}
	return f.text
}
func (f *shuffleFlag) Set(s string) error {
	if s != "off" && s != "on" {
		seed, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf(`-shuffle argument must be "on", "off", or an int64: %v`, err)
		}
		s = strconv.FormatInt(seed, 10)
	}
	f.text = s
	return nil
}

// outputDirFlag is -outputdir, made absolute below base. An empty one stands for base.
type outputDirFlag struct{ base, value string }

func (f *outputDirFlag) String() string { return f.value }
func (f *outputDirFlag) abs() string {
	if f.value == "" {
		return f.base
	}
	return f.value
}
func (f *outputDirFlag) Set(s string) error {
	if s != "" && !filepath.IsAbs(s) {
		s = filepath.Join(f.base, s)
	}
	f.value = s
	return nil
}

// coverFlag is a flag that implies -cover.
type coverFlag struct {
	v    *flagValues
	flag flag.Value
}

func (f coverFlag) String() string {
	if f.flag == nil {
		return "" // package flag asks a zero value for its text
	}
	return f.flag.String()
}
func (f coverFlag) Set(s string) error {
	if err := f.flag.Set(s); err != nil {
		return err
	}
	f.v.cover = true
	return nil
}

type coverModeFlag string

func (f *coverModeFlag) String() string { return string(*f) }
func (f *coverModeFlag) Set(s string) error {
	switch s {
	case "", "set", "count", "atomic":
		*f = coverModeFlag(s)
		return nil
	}
	return errors.New(`valid modes are "set", "count", or "atomic"`)
}

type commaListFlag []string

func (f *commaListFlag) String() string { return strings.Join(*f, ",") }
func (f *commaListFlag) Set(s string) error {
	*f = nil
	if s != "" {
		*f = strings.Split(s, ",")
	}
	return nil
}

type textFlag string

func (f *textFlag) String() string     { return string(*f) }
func (f *textFlag) Set(s string) error { *f = textFlag(s); return nil }

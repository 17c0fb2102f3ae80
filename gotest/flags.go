package gotest

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// DefaultTimeout is how long one test binary may run when no -timeout is given, the one of
// `go test`.
const DefaultTimeout = 10 * time.Minute

// Command is a parsed `go test` command line: `[packages] [go test flags]`. It is a value without
// behaviour of its own; only ParseCommand makes one. Fields named after a flag hold its value; the
// settings of GOFLAGS are in them too, so that they say what `go test` would do. Concurrent readers
// are fine.
type Command struct {
	// Packages are the patterns as given; nil is the package in the current directory.
	Packages []string

	// BuildFlags are the flags on the command line (not those in GOFLAGS, which the go command
	// reads itself) that `go list`, `go build` and `go test` share, as -name=value, in their order,
	// -C first. The coverage flags are not among them, nor is -n.
	BuildFlags []string

	// TestArgs are the arguments that `go test -json` would put behind the test binary's name,
	// GOFLAGS included, in its order. Left out, because they differ from process to process or are
	// xdist's business: -test.v other than test2json, -test.coverprofile, -test.gocoverdir,
	// -test.fuzzcachedir and -test.testlogfile.
	TestArgs []string
	// Verbatim is how many of TestArgs, the last ones, the go command passes on as they are,
	// whatever they look like: those behind -args.
	Verbatim int

	Run, Skip, Bench, Fuzz, List string        // regular expressions, "" when not given
	Count                        int           // 1 when not given
	CPUs                         int           // length of -cpu's list, 1 when not given: each test runs so many times
	Parallel                     int           // 0 when not given: the binary's GOMAXPROCS
	Timeout                      time.Duration // of one test binary, DefaultTimeout when not given, ≤ 0 is none
	Shuffle                      string        // "off", "on" or a seed
	Short, FailFast              bool
	Verbose, JSON                bool     // -v and -json as the user gave them
	Vet                          string   // as given; "" is go's default list of analyzers
	Exec                         []string // the command that runs test binaries, split into fields; nil is none

	Cover        bool     // -cover, or a flag that implies it
	CoverMode    string   // "set", "count" or "atomic"; "" without Cover
	CoverPkg     []string // patterns
	CoverProfile string   // as given; relative to OutputDir

	Profiles  []string // those of blockprofile, cpuprofile, memprofile, mutexprofile and trace that are asked for
	Artifacts bool     // -artifacts
	OutputDir string   // absolute: -outputdir, or the directory that the go command works in

	Compile       bool   // -c
	Output        string // -o
	BuildP        int    // -p, 0 when not given: the number of CPUs
	Race          bool   // -race
	MSan, ASan    bool   // -msan, -asan
	Rebuild       bool   // -a
	Overlay       string // -overlay, the file's name relative to Dir
	Chdir         string // -C as given, "" when not
	Dir           string // absolute: the directory that the go command works in
	PrintCommands bool   // -x
	Work          bool   // -work
	DryRun        bool   // -n

	coverFlagsSet bool // a coverage flag was given, maybe only to switch it off
	vetSet        bool // -vet was given, maybe only to overrule GOFLAGS
	vcsStamped    bool // -buildvcs=true: test binaries hold the state of the repository
	rawTestFlags  bool // there are -test. flags that go test does not know or does not look at: they can change what runs behind our back
}

// UsageError is a command line that `go test` rejects. Its text is the first line that `go test`
// would print.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

func usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// Undistributed reports whether the command compiles or lists only, or shows what it would do, so
// that `go test` does it all.
func (c *Command) Undistributed() bool { return c.Compile || c.DryRun || c.List != "" }

// Grain is how much of a package one test process runs.
type Grain int

const (
	Split Grain = iota // any subset of a package's tests can run by itself
	Whole              // a package has to run in one process, beside others
	Alone              // whole, and with nothing else on its host: it measures, or uses the whole machine
)

// Grain returns the finest grain that gives the command's flags the meaning that they have in
// `go test`.
func (c *Command) Grain() Grain {
	switch {
	case c.Bench != "" || c.Fuzz != "" || len(c.Profiles) > 0:
		return Alone
	case c.Shuffle != "off" || c.FailFast || c.List != "" || c.rawTestFlags:
		return Whole
	}
	return Split
}

// Conditions are the flags that change how long tests take, in a fixed order: "-race -short".
func (c *Command) Conditions() string {
	var flags []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"-race", c.Race}, {"-msan", c.MSan}, {"-asan", c.ASan}, {"-short", c.Short}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	return strings.Join(flags, " ")
}

// RunFlags are the flags that change what a test does, how often it runs and what is counted of it,
// in a fixed order: "-race -short -count=2 -covermode=atomic". Reports of runs that differ in them
// are no reports of one run. Flags that choose tests are not among them.
func (c *Command) RunFlags() string {
	flags := strings.Fields(c.Conditions())
	for _, f := range c.BuildFlags {
		if strings.HasPrefix(f, "-tags=") {
			flags = append(flags, f)
		}
	}
	if c.Count > 1 {
		flags = append(flags, fmt.Sprintf("-count=%d", c.Count))
	}
	for _, arg := range c.TestArgs {
		if cpus, ok := strings.CutPrefix(arg, "-test.cpu="); ok {
			flags = append(flags, "-cpu="+cpus)
		}
	}
	if c.Cover {
		flags = append(flags, "-covermode="+c.CoverMode)
	}
	return strings.Join(flags, " ")
}

// CheckPackages returns the *UsageError with which `go test` rejects the flags for n packages, or
// nil.
func (c *Command) CheckPackages(n int) error {
	switch {
	case c.Fuzz != "" && n != 1:
		return usagef("cannot use -fuzz flag with multiple packages")
	case c.Fuzz != "" && c.CoverProfile != "":
		return usagef("cannot use -coverprofile flag with -fuzz flag")
	case c.Fuzz != "" && len(c.Profiles) > 0:
		return usagef("cannot use -%s flag with -fuzz flag", c.Profiles[0])
	case len(c.Profiles) > 0 && n != 1:
		return usagef("cannot use -%s flag with multiple packages", c.Profiles[0])
	}
	return nil
}

// coverFlags are the coverage flags for `go test`, without -coverprofile. The last one switches
// coverage on or off for good, whatever the ones before it and GOFLAGS say.
func (c *Command) coverFlags() []string {
	if !c.coverFlagsSet {
		return nil
	}
	var flags []string
	if c.CoverMode != "" {
		flags = append(flags, "-covermode="+c.CoverMode)
	}
	if len(c.CoverPkg) > 0 {
		flags = append(flags, "-coverpkg="+strings.Join(c.CoverPkg, ","))
	}
	return append(flags, fmt.Sprintf("-cover=%t", c.Cover))
}

// ParseCommand parses args as `go test` parses what follows its name. goflags is the effective
// GOFLAGS (`go env GOFLAGS`). Relative directories are taken to be below the process' current
// directory. The error is flag.ErrHelp for -h and -help, and a *UsageError otherwise.
//
// What only the go command can know is left to it: the names of vet's analyzers, -buildmode and its
// platforms, and flags in GOFLAGS that other go commands may know.
func ParseCommand(args []string, goflags string) (*Command, error) {
	p := newFlagParser()
	args, err := p.chdir(args)
	if err != nil {
		return nil, err
	}
	if err := p.goflags(goflags); err != nil {
		return nil, err
	}
	if err := p.parse(args); err != nil {
		return nil, err
	}
	return p.command()
}

// flagParser is the state of one ParseCommand, after cmd/go/internal/test.testFlags.
type flagParser struct {
	fs *flag.FlagSet
	v  flagValues
	c  *Command

	inherited map[string]bool // flags from GOFLAGS to forward to the binary, by the name used there
	explicit  []string        // arguments for the binary, in their order
	unknown   string          // the first flag that go test does not know
}

// chdir takes a leading -C off the arguments, where alone the go command takes it.
func (p *flagParser) chdir(args []string) ([]string, error) {
	if len(args) > 0 {
		switch a := args[0]; {
		case (a == "-C" || a == "--C") && len(args) > 1:
			p.c.Chdir, args = args[1], args[2:]
		case strings.HasPrefix(a, "-C="), strings.HasPrefix(a, "--C="):
			_, p.c.Chdir, _ = strings.Cut(a, "=")
			args = args[1:]
		}
	}
	dir, err := filepath.Abs(p.c.Chdir)
	if err != nil {
		return nil, fmt.Errorf("find the current directory: %w", err)
	}
	p.c.Dir = dir
	p.v.outputDir.base = dir
	if p.c.Chdir != "" {
		p.c.BuildFlags = append(p.c.BuildFlags, "-C="+p.c.Chdir)
	}
	return args, nil
}

// goflags applies GOFLAGS, after cmd/go/internal/base.SetFromGOFLAGS. It passes over flags that
// `go test` does not have.
func (p *flagParser) goflags(text string) error {
	where := "$GOFLAGS"
	if runtime.GOOS == "windows" {
		where = "%GOFLAGS%"
	}
	fields, err := splitQuoted(text)
	if err != nil {
		return usagef("go: parsing $GOFLAGS: %v", err)
	}
	for _, f := range fields {
		if !isFlagWord(f) {
			return usagef("go: parsing $GOFLAGS: non-flag %q", f)
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(f[1:], "-"), "=")
		known := p.fs.Lookup(name)
		switch {
		case known == nil:
			continue
		case !hasValue && isBoolFlag(known):
			value = "true"
		case !hasValue:
			return usagef("go: flag needs an argument: -%s (from %s)", name, where)
		}
		if err := p.fs.Set(name, value); err != nil {
			kind := "value"
			if isBoolFlag(known) {
				kind = "boolean value"
			}
			return usagef("go: invalid %s %q for flag -%s (from %s): %v", kind, value, name, where, err)
		}
	}
	p.fs.Visit(func(f *flag.Flag) {
		if isTestFlag(strings.TrimPrefix(f.Name, "test.")) {
			p.inherited[f.Name] = true
		}
	})
	return nil
}

// parse walks the command line: flags of go test may come before and after the package list; flags
// that it does not know, and all that follows the second word that is no flag, go to the binary.
func (p *flagParser) parse(args []string) error {
	inList, seenList, afterBareUnknown := false, false, false
	for len(args) > 0 {
		one, err := parseOne(p.fs, args)
		wasAfterBareUnknown := afterBareUnknown
		afterBareUnknown = false
		switch one.kind {
		case terminator:
			p.raw(args)
			return nil
		case word:
			if !inList && seenList {
				if !wasAfterBareUnknown {
					p.raw(args)
					return nil
				}
				p.explicit = append(p.explicit, one.raw)
				break
			}
			inList, seenList = true, true
			p.c.Packages = append(p.c.Packages, one.raw)
		case unknownFlag:
			inList, seenList = false, true
			if one.raw == "-args" || one.raw == "--args" {
				p.raw(one.rest)
				return nil
			}
			if p.unknown == "" {
				p.unknown = one.raw
			}
			p.explicit = append(p.explicit, one.raw)
			p.c.rawTestFlags = p.c.rawTestFlags || isRawTestFlag(one.raw)
			afterBareUnknown = !one.hasValue
		case knownFlag:
			inList = false
			if err != nil {
				return err
			}
			p.known(one)
		case helpFlag:
			return flag.ErrHelp
		}
		args = one.rest
	}
	return nil
}

// raw passes args to the binary as they are.
func (p *flagParser) raw(args []string) {
	p.explicit = append(p.explicit, args...)
	p.c.Verbatim = len(args)
	p.c.rawTestFlags = p.c.rawTestFlags || slices.ContainsFunc(args, isRawTestFlag)
}

func isRawTestFlag(arg string) bool {
	return strings.HasPrefix(arg, "-test.") || strings.HasPrefix(arg, "--test.")
}

// known records a flag of go test that was set on the command line.
func (p *flagParser) known(one argument) {
	name := one.flag.Name
	switch short := strings.TrimPrefix(name, "test."); {
	case isTestFlag(short):
		delete(p.inherited, short)
		delete(p.inherited, "test."+short)
		if short != "v" && short != "coverprofile" {
			p.explicit = append(p.explicit, fmt.Sprintf("-test.%s=%v", short, one.flag.Value))
		}
	case isOwnFlag(name):
	default:
		p.c.BuildFlags = append(p.c.BuildFlags, fmt.Sprintf("-%s=%s", name, one.value))
	}
}

// injected are the arguments that come from GOFLAGS and from go test's own defaults. They precede
// the explicit ones.
func (p *flagParser) injected() []string {
	args := []string{"-test.paniconexit0", "-test.v=test2json"}
	timeoutSet, outputDirSet := false, false
	p.fs.Visit(func(f *flag.Flag) {
		short := strings.TrimPrefix(f.Name, "test.")
		if p.inherited[f.Name] && short != "v" && short != "coverprofile" {
			args = append(args, fmt.Sprintf("-test.%s=%v", short, f.Value))
		}
		timeoutSet = timeoutSet || short == "timeout"
		outputDirSet = outputDirSet || short == "outputdir"
	})
	if p.v.timeout > 0 && !timeoutSet {
		args = append(args, fmt.Sprintf("-test.timeout=%v", p.v.timeout))
	}
	if (len(p.c.Profiles) > 0 || p.v.artifacts) && !outputDirSet {
		args = append(args, "-test.outputdir="+p.v.outputDir.abs())
	}
	return args
}

// command makes the Command of what was parsed, and rejects what contradicts itself.
func (p *flagParser) command() (*Command, error) {
	c, v := p.c, &p.v
	if p.unknown != "" && v.compile {
		return nil, usagef("go: unknown flag %s cannot be used with -c", p.unknown)
	}
	v.fill(c)
	c.TestArgs = append(p.injected(), p.explicit...)
	p.fs.Visit(func(f *flag.Flag) {
		c.coverFlagsSet = c.coverFlagsSet || strings.HasPrefix(strings.TrimPrefix(f.Name, "test."), "cover")
		c.vetSet = c.vetSet || f.Name == "vet"
	})
	if c.Cover && c.CoverMode == "" {
		c.CoverMode = "set"
		if c.Race {
			c.CoverMode = "atomic"
		}
	}
	return c, v.check(c)
}

// splitQuoted splits s at white space into fields. A field may be in single or double quotes; there
// are no escapes. It is what cmd/go does with GOFLAGS and -exec (cmd/internal/quoted.Split).
func splitQuoted(s string) ([]string, error) {
	const space = " \t\n\r"
	var fields []string
	for {
		s = strings.TrimLeft(s, space)
		if s == "" {
			return fields, nil
		}
		if quote := s[0]; quote == '"' || quote == '\'' {
			end := strings.IndexByte(s[1:], quote)
			if end < 0 {
				return nil, fmt.Errorf("unterminated %c string", quote)
			}
			fields = append(fields, s[1:1+end])
			s = s[end+2:]
			continue
		}
		end := strings.IndexAny(s, space)
		if end < 0 {
			end = len(s)
		}
		fields = append(fields, s[:end])
		s = s[end:]
	}
}

// isFlagWord tells whether a word of GOFLAGS looks like -x, --x, -x=v or --x=v.
func isFlagWord(f string) bool {
	name, ok := strings.CutPrefix(f, "-")
	name = strings.TrimPrefix(name, "-")
	return ok && name != "" && name[0] != '-' && name[0] != '='
}

// argument is one step through a command line.
type argument struct {
	kind     argumentKind
	raw      string
	flag     *flag.Flag // of a known flag
	value    string     // of a known flag, as given; "true" for a bare boolean flag
	hasValue bool       // it has the form -flag=value
	rest     []string   // what follows
}

type argumentKind int

const (
	word        argumentKind = iota // not syntactically a flag
	terminator                      // --
	helpFlag                        // -h, -help, -?
	unknownFlag                     // not in the set
	knownFlag                       // in the set; a value that does not fit comes with an error
)

// parseOne takes one flag with its value, or one word, off args, and sets the flag. It is
// cmd/go/internal/cmdflag.ParseOne, and its errors are *UsageErrors with the same text.
func parseOne(fs *flag.FlagSet, args []string) (argument, error) {
	one := argument{raw: args[0], rest: args[1:]}
	arg := one.raw
	if strings.HasPrefix(arg, "--") {
		if arg == "--" {
			one.kind = terminator
			return one, nil
		}
		arg = arg[1:]
	}
	if arg == "-?" || arg == "-h" || arg == "-help" {
		one.kind = helpFlag
		return one, nil
	}
	if len(arg) < 2 || arg[0] != '-' || arg[1] == '-' || arg[1] == '=' {
		return one, nil
	}
	var name string
	name, one.value, one.hasValue = strings.Cut(arg[1:], "=")
	one.flag = fs.Lookup(name)
	if one.flag == nil {
		one.kind = unknownFlag
		return one, nil
	}
	one.kind = knownFlag
	return one, setOne(fs, name, &one)
}

// setOne sets the flag in one, whose value may still have to be taken from one.rest.
func setOne(fs *flag.FlagSet, name string, one *argument) error {
	if isBoolFlag(one.flag) {
		text := fmt.Sprintf("invalid boolean value %q for -%s", one.value, name)
		if !one.hasValue {
			one.value, text = "true", "invalid boolean flag "+name
		}
		if err := fs.Set(name, one.value); err != nil {
			return usagef("%s: %v", text, err)
		}
		return nil
	}
	if !one.hasValue {
		if len(one.rest) == 0 {
			return usagef("flag needs an argument: -%s", name)
		}
		one.value, one.rest = one.rest[0], one.rest[1:]
	}
	if err := fs.Set(name, one.value); err != nil {
		return usagef("invalid value %q for flag -%s: %v", one.value, name, err)
	}
	return nil
}

func isBoolFlag(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

var errMisplacedChdir = errors.New("-C flag must be first flag on command line")

// FlagKnown reports whether `go test` has a flag of this name, which is without dashes and may
// begin with "test.".
func FlagKnown(name string) bool { return newFlagParser().fs.Lookup(name) != nil }

// FlagNames are the names of the flags that `go test` has.
func FlagNames() []string {
	var names []string
	newFlagParser().fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

// FlagTakesValue reports whether `go test` has such a flag and takes the next argument for its
// value.
func FlagTakesValue(name string) bool {
	f := newFlagParser().fs.Lookup(name)
	return f != nil && !isBoolFlag(f)
}

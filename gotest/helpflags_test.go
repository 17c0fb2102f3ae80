package gotest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// goFlag says what becomes of a flag of `go test`, and with which value to try it.
type goFlag struct {
	value string
	to    flagFate
}

type flagFate int

const (
	forBinary flagFate = iota // it is among the binary's arguments
	forBuild                  // it is among the arguments of the go command that builds
	forGo                     // the go command gets the whole command line: there is nothing to distribute
	forUs                     // a field has it, by which somebody does as go test would
)

// goFlags are all flags of go help test, testflag and build but -args, which is no flag.
var goFlags = map[string]goFlag{
	"artifacts": {"true", forBinary}, "bench": {"B", forBinary}, "benchmem": {"true", forBinary}, "benchtime": {"1x", forBinary},
	"blockprofile": {"b", forBinary}, "blockprofilerate": {"1", forBinary}, "count": {"3", forBinary}, "cpu": {"1,2", forBinary},
	"cpuprofile": {"c", forBinary}, "failfast": {"true", forBinary}, "fullpath": {"true", forBinary}, "fuzz": {"F", forBinary},
	"fuzzminimizetime": {"1x", forBinary}, "fuzztime": {"1x", forBinary}, "memprofile": {"m", forBinary}, "memprofilerate": {"1", forBinary},
	"mutexprofile": {"m", forBinary}, "mutexprofilefraction": {"1", forBinary}, "outputdir": {"o", forBinary}, "parallel": {"5", forBinary},
	"run": {"R", forBinary}, "short": {"true", forBinary}, "shuffle": {"3", forBinary}, "skip": {"S", forBinary}, "timeout": {"9s", forBinary},
	"trace": {"t", forBinary},

	"C": {".", forBuild}, "a": {"true", forBuild}, "p": {"1", forBuild}, "race": {"true", forBuild}, "msan": {"true", forBuild}, "asan": {"true", forBuild},
	"cover": {"true", forBuild}, "covermode": {"count", forBuild}, "coverpkg": {"./x", forBuild}, "coverprofile": {"c", forBuild},
	"work": {"true", forBuild}, "x": {"true", forBuild}, "asmflags": {"-x", forBuild}, "buildmode": {"pie", forBuild}, "buildvcs": {"true", forBuild},
	"compiler": {"gc", forBuild}, "gccgoflags": {"-x", forBuild}, "gcflags": {"-l", forBuild}, "installsuffix": {"s", forBuild},
	"ldflags": {"-s", forBuild}, "linkshared": {"true", forBuild}, "mod": {"mod", forBuild}, "modcacherw": {"true", forBuild}, "modfile": {"f", forBuild},
	"overlay": {"o", forBuild}, "pgo": {"off", forBuild}, "pkgdir": {"d", forBuild}, "tags": {"t", forBuild}, "trimpath": {"true", forBuild},
	"toolexec": {"t", forBuild}, "vet": {"off", forBuild}, "o": {"out/", forBuild},

	"c": {"true", forGo}, "n": {"true", forGo}, "list": {".", forGo},

	"exec": {"wrap", forUs}, "json": {"true", forUs}, "v": {"true", forUs},
}

// TestNoFlagIsSwallowed shows that every flag that this Go release documents has its place, on the
// command line and in GOFLAGS. A flag that a new release brings fails it.
func TestNoFlagIsSwallowed(t *testing.T) {
	documented := helpFlags(t)
	for _, name := range documented {
		f, ok := goFlags[name]
		switch {
		case name == "args":
			continue
		case !ok:
			t.Errorf("-%s: documented by go help, and nobody has said what becomes of it", name)
			continue
		}
		arg := "-" + name + "=" + f.value
		if c, err := ParseCommand([]string{arg, "."}, ""); err != nil {
			t.Errorf("%s: %v", arg, err)
		} else if !has(t, c, name, f) {
			t.Errorf("%s is swallowed: %+v", arg, c)
		}
		if name == "C" || f.to == forBuild && !slices.Contains([]string{"o", "vet", "cover", "covermode", "coverpkg", "coverprofile"}, name) {
			continue // the go command reads GOFLAGS too
		}
		if c, err := ParseCommand([]string{"."}, arg); err != nil {
			t.Errorf("GOFLAGS=%s: %v", arg, err)
		} else if !has(t, c, name, f) {
			t.Errorf("GOFLAGS=%s is swallowed: %+v", arg, c)
		}
	}
	if runtime.Version() < "go1.26" {
		return
	}
	for name := range goFlags {
		if !slices.Contains(documented, name) {
			t.Errorf("-%s: not documented by go help", name)
		}
	}
}

// helpFlags are the names of the flags in the go command's help.
func helpFlags(t *testing.T) []string {
	t.Helper()
	entry := regexp.MustCompile(`(?m)^\t-(\w+)( .*)?$`)
	var names []string
	for _, topic := range []string{"test", "testflag", "build"} {
		out, err := exec.Command("go", "help", topic).Output()
		if err != nil {
			t.Fatal(err)
		}
		found := entry.FindAllStringSubmatch(string(out), -1)
		if len(found) < 4 {
			t.Errorf("go help %s has %d flags", topic, len(found))
		}
		for _, m := range found {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// has tells whether a command does with a flag what f says.
func has(t *testing.T, c *Command, name string, f goFlag) bool {
	t.Helper()
	switch f.to {
	case forBinary:
		return slices.ContainsFunc(c.TestArgs, func(arg string) bool {
			return strings.HasPrefix(arg, "-test."+name+"=") && strings.HasSuffix(arg, f.value)
		})
	case forBuild:
		args, err := buildArgs(BuildConfig{Command: c, RunDir: "/run", Handoff: []string{"xdist"}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "coverprofile": // that of the build is for us
			return c.CoverProfile == f.value && slices.Contains(args, "-coverprofile="+coverProfileFile("/run"))
		case "p":
			return c.BuildP == 1 && slices.Contains(args, "-p=1")
		}
		return slices.Contains(args, "-"+name+"="+f.value)
	case forGo:
		return c.Undistributed()
	}
	return map[string]bool{"exec": slices.Equal(c.Exec, []string{f.value}), "json": c.JSON, "v": c.Verbose}[name]
}

// TestFlagsFromGOFLAGS has those that others than the go command must know of, though they stand in
// GOFLAGS.
func TestFlagsFromGOFLAGS(t *testing.T) {
	c, err := ParseCommand([]string{"./...", "-vet="}, "-p=1 -work -vet=off -race")
	if err != nil {
		t.Fatal(err)
	}
	if c.BuildP != 1 || !c.Work || !c.Race {
		t.Errorf("BuildP %d, Work %v, Race %v", c.BuildP, c.Work, c.Race)
	}
	args, err := buildArgs(BuildConfig{Command: c}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(args, "-vet=") {
		t.Errorf("%q: -vet= does not overrule -vet=off in GOFLAGS", args)
	}
	if c, err = ParseCommand([]string{"./..."}, "-o=x -c"); err != nil || !c.Undistributed() {
		t.Errorf("-c in GOFLAGS: %+v, %v", c, err)
	}
}

// TestRawTestFlags shows that flags of package testing which go test does not know keep a package
// whole, as do those behind -args: two processes would write to one log.
func TestRawTestFlags(t *testing.T) {
	for _, line := range []string{"./... -test.testlogfile=log", ". -test.testlogfile log", ". -args -test.testlogfile=log", ". -- --test.gocoverdir=d"} {
		c, err := ParseCommand(strings.Fields(line), "")
		if err != nil {
			t.Errorf("%s: %v", line, err)
		} else if c.Grain() != Whole {
			t.Errorf("%s: grain %d", line, c.Grain())
		}
	}
}

// TestBuildLeavesWhatIsAskedFor shows that -o leaves test binaries where go test would, and -work
// the go command's directory.
func TestBuildLeavesWhatIsAskedFor(t *testing.T) {
	l := newLoads(t, map[string]string{
		"go.mod":      "module example.com/m\n\ngo 1.26\n",
		"a/a_test.go": "package a\nimport \"testing\"\nfunc TestA(t *testing.T) {}\n",
		"b/b_test.go": "package b\nimport \"testing\"\nfunc TestB(t *testing.T) {}\n",
	})
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"-o one.bin ./a", []string{"one.bin"}},
		{"-C a -o one.bin .", []string{"a/one.bin"}},
		{"-o bin/ ./...", []string{"bin/a.test", "bin/b.test"}},
	} {
		got := l.mustLoad(Platform{}, strings.Fields(tt.line)...)
		if len(got.ready) != len(tt.want) {
			t.Errorf("%s: ready are %v, reported %v", tt.line, got.ready, got.reported)
		}
		for _, name := range tt.want {
			info, err := os.Stat(filepath.Join(l.dir, name))
			if err != nil || info.Mode()&0o100 == 0 && runtime.GOOS != "windows" {
				t.Errorf("%s: %v, %v", tt.line, info, err)
			}
			for _, r := range got.ready {
				if kept, err := os.Stat(r.Binary); err != nil || os.SameFile(info, kept) {
					t.Errorf("%s: the store's file is the user's %s, who may write to it; %v", tt.line, name, err)
				}
			}
		}
	}
	got := l.mustLoad(Platform{}, "-work", "./a")
	work := ""
	for _, e := range got.output {
		if dir, ok := strings.CutPrefix(e.Output, "WORK="); ok {
			work = strings.TrimSpace(dir)
		}
	}
	if _, err := os.Stat(work); err != nil || strings.HasPrefix(work, got.runDir) {
		t.Errorf("-work, in a run that removes %s: %q, %v", got.runDir, work, err)
	} else if err := os.RemoveAll(work); err != nil {
		t.Error(err)
	}
}

package gotest

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// argvFileEnv makes the test binary, started by `go test -exec`, write its arguments to the file
// named there and end.
const argvFileEnv = "XDIST_TEST_ARGV_FILE"

func init() {
	file := os.Getenv(argvFileEnv)
	if file == "" {
		return
	}
	data, err := json.Marshal(os.Args[2:]) // behind the name of the binary that go test would run
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		panic(err)
	}
	os.Exit(0)
}

// writeTree makes files below a temporary directory, whose name it returns.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// goEnv is the environment of a go command in a test, apart from the developer's own settings.
func goEnv(extra ...string) []string {
	return append(os.Environ(), append([]string{"GOENV=off", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local"}, extra...)...)
}

// leftOut tells whether an argument differs between processes, or is xdist's business.
func leftOut(arg string) bool {
	for _, prefix := range []string{"-test.v=", "-test.coverprofile=", "-test.gocoverdir=", "-test.fuzzcachedir="} {
		if strings.HasPrefix(arg, prefix) {
			return true
		}
	}
	return false
}

func TestTestArgsAreGoTests(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"go.mod":      "module example.com/m\n\ngo 1.26\n",
		"a/a_test.go": "package a\nimport \"testing\"\nfunc TestA(t *testing.T) {}\nfunc FuzzA(f *testing.F) {}\n",
	})
	for _, c := range []struct{ goflags, line string }{
		{"", ""},
		{"", "."},
		{"", ". -run TestA -short -count 3"},
		{"", "-run=TestA . -skip X"},
		{"", "--run=TestA --short=true ."},
		{"", "-short=0 -short=t -failfast . "},
		{"", "-count=0x10 -parallel 4 -cpu 1,2,4"},
		{"", "-timeout 90s"},
		{"", "-timeout=0"},
		{"", "-timeout=-5s -timeout 1h30m ."},
		{"", "-v"},
		{"", "-v=false ."},
		{"", "-v=test2json"},
		{"", "-test.run=TestA -test.short -test.count=2 ."},
		{"", "-test.v -test.timeout=5s"},
		{"", "-run A -run B"},
		{"", "-run A -test.run B"},
		{"", ". -custom value -short"},
		{"", ". -custom=value more -short"},
		{"", "-custom . -short"},
		{"", "-custom=1 ."},
		{"", ". -custom value second -short"},
		{"", ". -short -- -x y"},
		{"", "-- -short"},
		{"", ". -args"},
		{"", "-args -test.run=A -v ."},
		{"", ". --args one -- two -short"},
		{"", ". -short -args -x -p=3 -tags=foo -n=5 -run Y"},
		{"", ". - -short"},
		{"", ". -short word -run X"},
		{"", "-bench=. -benchmem -benchtime 10x -run ^$ ."},
		{"", "-cpuprofile cpu.out ."},
		{"", "-trace t.out -outputdir out/./x ."},
		{"", "-outputdir out -memprofile m.out -memprofilerate 1 -outputdir= ."},
		{"", "-blockprofile=b -blockprofilerate=1 -mutexprofile m -mutexprofilefraction=2 ."},
		{"", "-artifacts ."},
		{"", "-shuffle on"},
		{"", "-shuffle=off -shuffle 007"},
		{"", "-list . -fullpath"},
		{"", "-fuzz FuzzA -fuzztime 1x -fuzzminimizetime 10x ."},
		{"", "-cover -coverprofile=c.out -short"},
		{"", "-covermode count -coverpkg=./... ."},
		{"", "-json -vet=off -p 2 -tags=a,b -trimpath -short"},
		{"", "-o x.test -ldflags=-s -gcflags=all=-l -short"},
		{"-short -count=2 -timeout=3m", "-count=5 ."},
		{"'-run=A B' -v -tags=x", ""},
		{"--test.short -trimpath \"-skip=a b\"", "-short=false"},
		{"-test.run=A -run=B", "-v"},
		{"-outputdir=o -cpuprofile=c", "."},
		{"-coverprofile=c -list=.", ""},
		{"-json -buildvcs=false -mod=readonly", "-C=. ./..."},
	} {
		t.Run(strings.TrimSpace(c.goflags+" "+c.line), func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-C", filepath.Join(dir, "a")}, strings.Fields(c.line)...)
			if rest, ok := strings.CutPrefix(c.line, "-C=. "); ok {
				args = append([]string{"-C=" + dir}, strings.Fields(rest)...)
			}
			want := goTestArgv(t, args, c.goflags)
			want = slices.DeleteFunc(want, leftOut)
			want = slices.Insert(want, 1, "-test.v=test2json") // go test -json has it there too, and then the user's
			got, err := ParseCommand(args, c.goflags)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.TestArgs); diff != "" {
				t.Errorf("TestArgs (-go test +ours):\n%s", diff)
			}
			build, err := buildArgs(BuildConfig{Command: got, Handoff: []string{"x"}}, 0)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseCommand(build[1:], "")
			if err != nil {
				t.Fatalf("the build's %q: %v", build, err)
			}
			once := func(args []string) []string {
				return slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "-test.count=1" || strings.HasPrefix(a, "-test.timeout=10m") })
			}
			if diff := cmp.Diff(once(got.TestArgs), once(again.TestArgs)); diff != "" {
				t.Errorf("TestArgs of the build (-of the run +of the build):\n%s", diff)
			}
		})
	}
}

// goTestArgv returns the arguments that `go test -json` passes to the binary. args begin with -C.
// It asks `go test -n`, which saves compiling and linking but cannot show where an argument with a
// space ends: those come from a real run.
func goTestArgv(t *testing.T, args []string, goflags string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "argv")
	flags := []string{"-json", "-vet=off", "-exec=" + self}
	inEarnest := strings.ContainsAny(goflags, "'\"") || strings.Contains(strings.Join(args, " "), "-custom")
	if !inEarnest {
		flags = append(flags, "-n")
	}
	cmd := exec.Command("go", append([]string{"test"}, slices.Insert(slices.Clone(args), chdirWords(args), flags...)...)...)
	cmd.Env = goEnv("GOFLAGS="+goflags, argvFileEnv+"="+file)
	out, runErr := cmd.CombinedOutput()
	var argv []string
	if inEarnest {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("go test did not run the binary: %v\n%s", runErr, out)
		}
		if err := json.Unmarshal(data, &argv); err != nil {
			t.Fatal(err)
		}
		return argv
	}
	for line := range strings.Lines(string(out)) {
		var e struct{ Output string }
		if json.Unmarshal([]byte(line), &e) == nil && strings.HasPrefix(e.Output, self+" ") {
			return strings.Split(strings.TrimSuffix(e.Output, "\n"), " ")[2:]
		}
	}
	t.Fatalf("go test -n does not run the binary: %v\n%s", runErr, out)
	return nil
}

// chdirWords is how many words a leading -C takes.
func chdirWords(args []string) int {
	if args[0] == "-C" {
		return 2
	}
	return 1
}

func TestUsageErrorsAreGoTests(t *testing.T) {
	dir := writeTree(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n", "a.go": "package m\n"})
	for _, c := range []struct{ goflags, line string }{
		{"", "-x="},
		{"", "-short=maybe"},
		{"", "-count"},
		{"", "-count x"},
		{"", "-p 99999999999999999999"},
		{"", "-p 0"},
		{"", "-timeout 5"},
		{"", "-covermode=lines"},
		{"", "-shuffle=1.5"},
		{"", "-v=loud"},
		{"", "-vet=a=b"},
		{"", "-vet=,"},
		{"", "-buildvcs=perhaps"},
		{"", "-compiler=tcc"},
		{"", "-gcflags=nopattern"},
		{"", "-gcflags==x"},
		{"", "-ldflags='a=b'"},
		{"", "-exec='go"},
		{"", "-tags='a"},
		{"", ". -C x"},
		{"", "-race -covermode=set"},
		{"", "-race -msan"},
		{"", "-mod=loose"},
		{"", "-c -custom"},
		{"-count=x", ""},
		{"-short=x", ""},
		{"-run", ""},
		{"-tags=a word", ""},
		{"'-tags=a", ""},
		{"---x", ""},
	} {
		t.Run(strings.TrimSpace(c.goflags+" "+c.line), func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(c.line)
			cmd := exec.Command("go", append([]string{"test"}, args...)...)
			cmd.Dir = dir
			cmd.Env = goEnv("GOFLAGS=" + c.goflags)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("go test accepts it: %s", out)
			}
			want, _, _ := strings.Cut(string(out), "\n")
			_, err = ParseCommand(args, c.goflags)
			var usage *UsageError
			if !errors.As(err, &usage) || usage.Error() != want {
				t.Errorf("got %v\ngo test says %s", err, want)
			}
		})
	}
}

func TestParseCommandFields(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// base is what no flags at all give.
	base := func(change func(*Command)) *Command {
		c := &Command{
			TestArgs: []string{"-test.paniconexit0", "-test.v=test2json", "-test.timeout=10m0s"},
			Count:    1, CPUs: 1, Timeout: DefaultTimeout, Shuffle: "off", OutputDir: here, Dir: here,
		}
		change(c)
		return c
	}
	for _, c := range []struct {
		args    []string
		goflags string
		want    *Command
	}{
		{nil, "", base(func(c *Command) {})},
		{[]string{"./a", "b", "-race", "-tags", "x,y", "--trimpath"}, "", base(func(c *Command) {
			c.Packages, c.Race = []string{"./a", "b"}, true
			c.BuildFlags = []string{"-race=true", "-tags=x,y", "-trimpath=true"}
		})},
		{[]string{"-C", "testdata", "-gcflags=all=-l", "-gcflags", "b=-N", "-n", "-x", "-a", "-p=3", "-overlay=o.json", "."}, "", base(func(c *Command) {
			c.Packages, c.Chdir, c.Dir = []string{"."}, "testdata", filepath.Join(here, "testdata")
			c.OutputDir, c.Overlay = c.Dir, "o.json"
			c.BuildFlags = []string{"-C=testdata", "-gcflags=all=-l", "-gcflags=b=-N", "-x=true", "-a=true", "-p=3", "-overlay=o.json"}
			c.DryRun, c.PrintCommands, c.Rebuild, c.BuildP = true, true, true, 3
		})},
		{[]string{"-json", "-v", "-exec", `wrap "two words"`, "-vet=printf,atomic", "-c", "-o=out"}, "", base(func(c *Command) {
			c.JSON, c.Verbose, c.Exec, c.Vet = true, true, []string{"wrap", "two words"}, "printf,atomic"
			c.Compile, c.Output, c.vetSet = true, "out", true
		})},
		{[]string{"-coverpkg=a,b", "-coverprofile", "c.out"}, "-race", base(func(c *Command) {
			c.Race, c.Cover, c.CoverMode, c.CoverPkg, c.CoverProfile = true, true, "atomic", []string{"a", "b"}, "c.out"
			c.coverFlagsSet = true
		})},
		{[]string{"-cover=false"}, "-cover", base(func(c *Command) { c.coverFlagsSet = true })},
		{[]string{"-cpu", "1, 2,,4", "-parallel=7", "-count=2", "-timeout=0"}, "", base(func(c *Command) {
			c.CPUs, c.Parallel, c.Count, c.Timeout = 3, 7, 2, 0
			c.TestArgs = append(c.TestArgs[:2], "-test.cpu=1, 2,,4", "-test.parallel=7", "-test.count=2", "-test.timeout=0s")
		})},
		{[]string{"-trace=t", "-cpuprofile=c", "-artifacts", "-outputdir=o", "-test.short"}, "", base(func(c *Command) {
			c.Profiles, c.Artifacts, c.Short = []string{"cpuprofile", "trace"}, true, true
			c.OutputDir = filepath.Join(here, "o")
			c.TestArgs = append(c.TestArgs, "-test.trace=t", "-test.cpuprofile=c", "-test.artifacts=true", "-test.outputdir="+c.OutputDir, "-test.short=true")
		})},
	} {
		got, err := ParseCommand(c.args, c.goflags)
		if err != nil {
			t.Errorf("ParseCommand(%q, %q): %v", c.args, c.goflags, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(Command{})); diff != "" {
			t.Errorf("ParseCommand(%q, %q) (-want +got):\n%s", c.args, c.goflags, diff)
		}
	}
}

func TestParseCommandHelp(t *testing.T) {
	for _, arg := range []string{"-h", "--help", "-help"} {
		if _, err := ParseCommand([]string{"./...", arg}, ""); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: got %v, want flag.ErrHelp", arg, err)
		}
	}
}

func TestRunFlags(t *testing.T) {
	for line, want := range map[string]string{
		"":                                     "",
		"-run X -skip Y -v -timeout 3s -p 2 .": "",
		"-covermode=atomic -tags a,b -cpu 1,2 -count=2 -short -race . -args -custom": "-race -short -tags=a,b -count=2 -cpu=1,2 -covermode=atomic",
		"-coverprofile x": "-covermode=set",
	} {
		c, err := ParseCommand(strings.Fields(line), "")
		if err != nil {
			t.Errorf("%s: %v", line, err)
		} else if got := c.RunFlags(); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestGrain(t *testing.T) {
	for line, want := range map[string]Grain{
		"":                          Split,
		"-run X -count=3 -short -v": Split,
		"-shuffle=off -cover":       Split,
		"-args -custom":             Split,
		"-shuffle=on":               Whole,
		"-shuffle=5":                Whole,
		"-failfast":                 Whole,
		"-list .":                   Whole,
		". -args --test.run=X":      Whole,
		". -args x -test.skip=X":    Whole,
		"-bench .":                  Alone,
		"-fuzz F":                   Alone,
		"-trace t":                  Alone,
		"-memprofile m -failfast":   Alone,
	} {
		c, err := ParseCommand(strings.Fields(line), "")
		if err != nil {
			t.Errorf("%s: %v", line, err)
		} else if got := c.Grain(); got != want {
			t.Errorf("%s: grain %d, want %d", line, got, want)
		}
	}
}

func TestCheckPackages(t *testing.T) {
	for _, c := range []struct {
		line     string
		packages int
		want     string
	}{
		{"-fuzz F", 1, ""},
		{"-fuzz F", 2, "cannot use -fuzz flag with multiple packages"},
		{"-fuzz F -coverprofile=c", 1, "cannot use -coverprofile flag with -fuzz flag"},
		{"-fuzz F -trace=t", 1, "cannot use -trace flag with -fuzz flag"},
		{"-trace=t -memprofile=m", 2, "cannot use -memprofile flag with multiple packages"},
		{"-trace=t", 1, ""},
		{"-bench .", 5, ""},
	} {
		cmd, err := ParseCommand(strings.Fields(c.line), "")
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := cmd.CheckPackages(c.packages); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s with %d packages: %q, want %q", c.line, c.packages, got, c.want)
		}
	}
}

func TestCoverFlags(t *testing.T) {
	for _, c := range []struct {
		line, goflags string
		want          []string
	}{
		{"", "", nil},
		{"-cover", "", []string{"-covermode=set", "-cover=true"}},
		{"-coverpkg=a,b -race", "", []string{"-covermode=atomic", "-coverpkg=a,b", "-cover=true"}},
		{"-cover=false", "-cover", []string{"-cover=false"}},
		{"", "-covermode=count", []string{"-covermode=count", "-cover=true"}},
	} {
		cmd, err := ParseCommand(strings.Fields(c.line), c.goflags)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, cmd.coverFlags()); diff != "" {
			t.Errorf("%q with GOFLAGS=%q (-want +got):\n%s", c.line, c.goflags, diff)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add("./... -run X -- -v", "-tags=x '-ldflags=-s -w'")
	f.Add("-C d -args --", "--short")
	f.Add("-v= -=x --- - -cpu ,", "\"")
	f.Fuzz(func(t *testing.T, line, goflags string) {
		c, err := ParseCommand(strings.Fields(line), goflags)
		var usage *UsageError
		if err != nil && !errors.Is(err, flag.ErrHelp) && !errors.As(err, &usage) {
			t.Fatalf("undocumented error %v", err)
		}
		if err != nil {
			return
		}
		// The build flags and what follows are a command line that means the same: xdist passes
		// them on to go test.
		again, err := ParseCommand(append(append([]string{}, c.BuildFlags...), c.Packages...), goflags)
		if err != nil || !cmp.Equal(again.BuildFlags, c.BuildFlags) || !cmp.Equal(again.Packages, c.Packages) {
			t.Fatalf("%q with GOFLAGS %q: build flags %q and packages %q do not parse again: %v, %v", line, goflags, c.BuildFlags, c.Packages, again, err)
		}
	})
}

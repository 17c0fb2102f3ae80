package gateway_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// needGo ends a test where there is no go command, and gives the rest a cache of compiled sources
// of its own.
func needGo(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: -short: compiling takes its time")
	}
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Skipf("skipped: there is no go command: %v", err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(out)))
	t.Setenv("XDG_CACHE_HOME", cacheHome)
}

// doubler doubles what it receives, and has its arguments and its process.
const doubler = `package task

import (
	"context"
	"os"

	"github.com/xdist-go/xdist/gateway"
)

func Remote(ctx context.Context, ch *gateway.Channel) error {
	var name string
	if err := ch.Args().Decode(&name); err != nil {
		return err
	}
	if err := ch.Send(ctx, []any{name, os.Getpid()}); err != nil {
		return err
	}
	for n, err := range gateway.All[int](ctx, ch) {
		if err != nil {
			return err
		}
		if err := ch.Send(ctx, 2*n); err != nil {
			return err
		}
	}
	return nil
}
`

// A Go source runs in a process of its own on the host of a gateway, which ends with its channel.
func TestRunSource(t *testing.T) { overPlatforms(t, testRunSource) }

func testRunSource(t *testing.T, tr transport) {
	needGo(t)
	gw := tr.open(t)
	ch, err := gw.RunSource(t.Context(), doubler, "you")
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		_    struct{} `cbor:",toarray"`
		Name string
		Pid  int
	}
	if err := ch.Receive(t.Context(), &said); err != nil {
		t.Fatal(err)
	}
	if said.Name != "you" || said.Pid <= 0 || said.Pid == os.Getpid() || said.Pid == gw.Info().Pid {
		t.Errorf("it has %+v", said)
	}
	for n := range 3 {
		send(t, ch, n)
		if got := receive[int](t, ch); got != 2*n {
			t.Errorf("twice %d is %d", n, got)
		}
	}
	if err := ch.CloseSend(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, ch)
	awaitRunning(t, gw) // the handler that holds the process has returned
}

func runSource(t *testing.T, gw *gateway.Gateway, source string) *gateway.Channel {
	t.Helper()
	ch, err := gw.RunSource(t.Context(), source, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// remote is a source with a body of Remote.
func remote(imports, body string) string {
	return "package main\n\nimport (\n\t\"context\"\n" + imports + "\n\t\"github.com/xdist-go/xdist/gateway\"\n)\n\nfunc main() {}\n\n" +
		"func Remote(ctx context.Context, ch *gateway.Channel) error {\n" + body + "\n}\n"
}

// Whatever ends a source, its process ends, and the channel tells.
func TestSourceEnds(t *testing.T) {
	needGo(t)
	gw := open(t, "popen")
	ch := runSource(t, gw, remote("\t\"errors\"", "\tch.Send(ctx, 1)\n\treturn errors.New(\"no luck\")"))
	if got := receive[int](t, ch); got != 1 {
		t.Errorf("got %d", got)
	}
	if err := ch.WaitClose(t.Context()); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("got %v", err)
	}
	awaitRunning(t, gw)

	ch = runSource(t, gw, remote("", "\tpanic(\"at the disco\")"))
	err := ch.WaitClose(t.Context())
	if re, ok := errors.AsType[*gateway.RemoteError](err); !ok || !strings.Contains(re.Stack, "source.go:12") || !strings.Contains(re.Error(), "at the disco") {
		t.Errorf("got %v", err)
	}

	ch = runSource(t, gw, remote("\t\"os\"", "\tos.Stderr.WriteString(\"last words\\n\")\n\tos.Exit(7)\n\treturn nil"))
	err = ch.WaitClose(t.Context())
	if lost, ok := errors.AsType[*gateway.LostError](err); !ok || lost.Status != "exit status 7" || lost.Stderr != "last words\n" {
		t.Errorf("got %v", err)
	}
	awaitRunning(t, gw)

	// One that takes no notice of the end of its channel is killed.
	ch = runSource(t, gw, remote("", "\tch.Send(ctx, 1)\n\tselect {}"))
	receive[int](t, ch)
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, gw)

	// One that is at work ends with its gateway.
	ch = runSource(t, gw, remote("", "\tch.Send(ctx, 1)\n\tselect {}"))
	receive[int](t, ch)
	gw.Exit()
	if _, lost := errors.AsType[*gateway.LostError](ch.WaitClose(t.Context())); !lost {
		t.Error("a source survived its gateway")
	}
	if _, err := gw.RunSource(t.Context(), doubler, "you"); !errors.Is(err, gateway.ErrExited) {
		t.Errorf("got %v", err)
	}
}

// What the compiler says is the error of the call, with the lines of the source.
func TestSourceErrors(t *testing.T) {
	needGo(t)
	gw := open(t, "popen")
	for source, want := range map[string]string{
		remote("", "\treturn nonsense"):                             "source.go:12:9: undefined: nonsense",
		"//line task.go:100\n" + remote("", "\treturn nonsense"):    "task.go:111: undefined: nonsense",
		remote("\t\"example.com/no/such/package\"", "\treturn nil"): "source.go:5:2: no required module provides package example.com/no/such/package",
		"package task\n\nfunc Remote() {}\n":                        "source.go:3:",
		"package task\n\nfunc Remote( {}\n":                         "source.go:3:",
		"package task\n\nfunc remote() {}\n":                        "the source has no func Remote(",
		"hello":                                                     "the source is no Go file: it has no package clause",
		"package task\n\ntype T int\n\nfunc (T) Remote() {}\n":      "the source has no func Remote(",
		"//go:build ignore\n\n" + remote("", "\treturn nonsense"):   "source.go:14:9: undefined: nonsense",
	} {
		_, err := gw.RunSource(t.Context(), source, nil)
		if err == nil || !strings.Contains(err.Error(), ": "+want) || strings.Contains(err.Error(), "xdist-source") || strings.Contains(err.Error(), "# ") {
			t.Errorf("%s\n%v, want %s", source, err, want)
		}
		if _, compiler := errors.AsType[*gateway.CompileError](err); compiler != strings.Contains(want, ".go:") {
			t.Errorf("%v is a CompileError: %t", err, compiler)
		}
	}
	name := filepath.Join(moduleFor(t, nil), "wrong.go")
	if err := os.WriteFile(name, []byte(remote("", "\treturn nonsense")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gw.RunSource(t.Context(), name, nil); err == nil || !strings.Contains(err.Error(), ": "+name+":12:9: undefined: nonsense") {
		t.Errorf("got %v", err)
	}
	if _, err := gw.RunSource(t.Context(), "no-such-file.go", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := gw.RunPackage(t.Context(), "example.com/no/such", nil); err == nil || !strings.Contains(err.Error(), "example.com/no/such") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gw.RunSource(ctx, remote("", "\treturn nil // not compiled before"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// moduleFor makes a module that requires this one, with files, and returns its directory.
func moduleFor(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, requirements, _ := strings.Cut(string(own), "\n")
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	all := map[string]string{
		"go.mod": "module example.com/m\n" + requirements + "\nrequire github.com/xdist-go/xdist v0.0.0\n\nreplace github.com/xdist-go/xdist => " + root + "\n",
		"go.sum": string(sums),
	}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A package of another module runs with what it imports there, and anew when that has changed.
func TestRunPackage(t *testing.T) {
	needGo(t)
	dir := moduleFor(t, map[string]string{
		"task/task.go": `package task

import (
	"context"

	"github.com/xdist-go/xdist/gateway"

	"example.com/m/internal/words"
)

func Remote(ctx context.Context, ch *gateway.Channel) error { return ch.Send(ctx, words.Hello) }
`,
		"internal/words/words.go": "package words\n\nconst Hello = \"hello\"\n",
	})
	cfg := config()
	cfg.SourceDir = dir
	gw := openIn(t, newGroup(t, cfg), "popen")
	run := func(path string) string {
		t.Helper()
		ch, err := gw.RunPackage(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		text := receive[string](t, ch)
		wantEnd(t, ch)
		return text
	}
	if got := run("example.com/m/task"); got != "hello" {
		t.Errorf("got %q", got)
	}
	if got := run("./task"); got != "hello" {
		t.Errorf("got %q", got)
	}
	more := filepath.Join(dir, "internal/words/more.go")
	if err := os.WriteFile(more, []byte("package words\n\nfunc init() { println(1) }\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "internal/words/words.go"), []byte("package words\n\nconst Hello = \"good-bye\"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := run("example.com/m/task"); got != "good-bye" {
		t.Errorf("after a change it says %q", got)
	}
	// A source of that module has its packages, too, also one in a file.
	cfg.SourceDir = ""
	other := openIn(t, newGroup(t, cfg), "popen")
	name := filepath.Join(dir, "cmd", "say_test.go")
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(remote("\t\"example.com/m/internal/words\"", "\treturn ch.Send(ctx, words.Hello)")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := receive[string](t, runSource(t, other, name)); got != "good-bye" {
		t.Errorf("got %q", got)
	}
	ch := runSource(t, gw, remote("\t\"example.com/m/internal/words\"", "\treturn ch.Send(ctx, words.Hello)"))
	if got := receive[string](t, ch); got != "good-bye" {
		t.Errorf("got %q", got)
	}
}

// A program of another module runs sources, and those of its own packages, also when it was built
// without the names of its files and runs where they are.
func TestSourcesOfAProgram(t *testing.T) {
	needGo(t)
	dir := moduleFor(t, map[string]string{
		"main.go": `package main

import (
	"context"
	"fmt"
	"log"

	"github.com/xdist-go/xdist/gateway"
)

const source = ` + "`package task\n\nimport (\n\t\"context\"\n\n\t\"github.com/xdist-go/xdist/gateway\"\n)\n\nfunc Remote(ctx context.Context, ch *gateway.Channel) error { return ch.Send(ctx, \"a text\") }\n`" + `

func main() {
	gateway.Main(nil)
	ctx := context.Background()
	gw, err := gateway.Open(ctx, "popen")
	if err != nil {
		log.Fatal(err)
	}
	defer gw.Exit()
	for _, run := range []func() (*gateway.Channel, error){
		func() (*gateway.Channel, error) { return gw.RunSource(ctx, source, nil) },
		func() (*gateway.Channel, error) { return gw.RunPackage(ctx, "./task", nil) },
		func() (*gateway.Channel, error) { return gw.RunPackage(ctx, "example.com/m/task", nil) },
	} {
		ch, err := run()
		if err != nil {
			log.Fatal(err)
		}
		for text, err := range gateway.All[string](ctx, ch) {
			fmt.Println(text, err)
		}
	}
}
`,
		"task/task.go": "package task\n\nimport (\n\t\"context\"\n\n\t\"github.com/xdist-go/xdist/gateway\"\n)\n\nfunc Remote(ctx context.Context, ch *gateway.Channel) error { return ch.Send(ctx, \"a package\") }\n",
	})
	program := filepath.Join(t.TempDir(), "program")
	for _, flags := range [][]string{nil, {"-trimpath"}} {
		build := exec.Command("go", slices.Concat([]string{"build", "-o", program}, flags, []string{"."})...)
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		run := exec.Command(program)
		if flags != nil {
			run.Dir = dir
		}
		if out, err := run.CombinedOutput(); err != nil || string(out) != "a text <nil>\na package <nil>\na package <nil>\n" {
			t.Errorf("built with %q: %v: %s", flags, err, out)
		}
	}
}

// The second time the go command is not asked.
func TestSourceIsCompiledOnce(t *testing.T) {
	needGo(t)
	if runtime.GOOS == "windows" {
		t.Skip("skipped: a shell script counts")
	}
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\necho \"$1\" >>'"+log+"'\nexec '"+real+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	source := remote("", "\treturn ch.Send(ctx, \"once\")")
	for _, want := range []bool{true, false} {
		if got := receive[string](t, runSource(t, open(t, "popen"), source)); got != "once" {
			t.Errorf("got %q", got)
		}
		said, err := os.ReadFile(log)
		if asked := err == nil; asked != want {
			t.Errorf("the go command was asked %q, %v", said, err)
		}
		os.Remove(log)
	}
	programs, err := filepath.Glob(filepath.Join(cacheHome, "xdist", "sources", "*.tmp"))
	if err != nil || len(programs) > 0 {
		t.Errorf("%q are left, %v", programs, err)
	}
}

// An agent that does not have this side's files gets the program as one on another host does.
func TestSourceForAnotherRoot(t *testing.T) {
	needGo(t)
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("skipped: only Linux's root can be another user")
	}
	cache := t.TempDir() // which others may not enter
	t.Setenv("XDG_CACHE_HOME", cache)
	if err := os.Chmod(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join("/var/tmp", "xdist-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	self := filepath.Join(home, "agent")
	data, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, "cache"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(home, "cache"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skipf("skipped: there is no setpriv: %v", err)
	}
	cfg := config()
	cfg.Command = []string{setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "env", "XDG_CACHE_HOME=" + home + "/cache", self, agentRole}
	gw := openIn(t, newGroup(t, cfg), "popen//chdir="+home)
	ch := runSource(t, gw, remote("\t\"os\"", "\treturn ch.Send(ctx, os.Getuid())"))
	if uid := receive[int](t, ch); uid != 65534 {
		t.Errorf("it runs as %d", uid)
	}
}

// Many at once, of one source and of several, all end with their group.
func TestManySources(t *testing.T) {
	needGo(t)
	g := newGroup(t, config())
	gw := openIn(t, g, "popen")
	var channels []*gateway.Channel
	for range 4 {
		ch, err := gw.RunSource(t.Context(), doubler, "many")
		if err != nil {
			t.Fatal(err)
		}
		channels = append(channels, ch)
	}
	for i, ch := range channels {
		if _, err := ch.ReceiveItem(t.Context()); err != nil {
			t.Fatal(err)
		}
		send(t, ch, i)
		if got := receive[int](t, ch); got != 2*i {
			t.Errorf("%d answers %d", i, got)
		}
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	for _, ch := range channels {
		if err := ch.Receive(t.Context(), new(int)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("after the end of the group: %v", err)
		}
	}
}

package integration

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// exampleProgram builds the program whose main is an example of a package, in a module of its own.
func exampleProgram(t *testing.T, file, name string) string {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var main *ast.BlockStmt
	for _, d := range f.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Name.Name == name {
			main = d.Body
		}
	}
	if main == nil {
		t.Fatalf("%s has no %s", file, name)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	body := text[fset.Position(main.Pos()).Offset:fset.Position(main.End()).Offset]
	var source bytes.Buffer
	fmt.Fprintf(&source, "package main\n\n")
	for _, spec := range f.Imports { // another example may need them
		if bytes.Contains(body, []byte(strings.Trim(filepath.Base(spec.Path.Value), `"`)+".")) {
			fmt.Fprintf(&source, "import %s\n", spec.Path.Value)
		}
	}
	fmt.Fprintf(&source, "\nfunc main() %s\n", body)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go .*$`).Find(mod)
	formatted, err := format.Source(source.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, source.Bytes())
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.work": fmt.Sprintf("%s\n\nuse (\n\t.\n\t%s\n)\n", version, root),
		"go.mod":  fmt.Sprintf("module example.com/program\n\n%s\n", version),
		"main.go": string(formatted),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// TestNetworkExamples runs the examples that use a network as they are documented, on a network of
// two platforms, one of them emulated.
func TestNetworkExamples(t *testing.T) {
	needEmulators(t)
	dir, err := os.MkdirTemp("", "net") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	env := []string{"XDG_RUNTIME_DIR=" + dir, "XDIST_CACHE=" + storeDir(t), "XDG_CACHE_HOME=" + t.TempDir(), "GOWORK="}
	run := func(name string, args ...string) string {
		t.Helper()
		e := command(t, ".", env, name, args...)
		if e.status != 0 {
			t.Errorf("%s %q: exit status %d\n%s%s", filepath.Base(name), args, e.status, e.stdout, tail(e.stderr))
		}
		return e.stdout
	}
	run(xdist(t), "net", "start", "mynet", "--wait", "3m", "--tx", "popen//id=own//label:big", "--tx", "popen//goarch=arm64//exec=qemu-aarch64-static//id=arm//label:big")
	defer run(xdist(t), "net", "stop", "mynet")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range []struct{ file, name, want string }{
		{"../gateway/example_network_test.go", "ExampleConnect", host + "\n"},
		{"../agents/example_test.go", "ExampleSelf", host + " arm64\n"},
	} {
		if got := run(exampleProgram(t, example.file, example.name)); got != example.want {
			t.Errorf("%s prints %q, want %q", example.name, got, example.want)
		}
	}
}

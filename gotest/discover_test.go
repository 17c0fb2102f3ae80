package gotest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// goTestmain is what cmd/go made of a package: its generated main package, or why it made none.
type goTestmain struct {
	TestFiles
	ImportPath string
	Main       string // file name of the _testmain.go
	Err        string
}

// goTestmains asks `go list -test`, which generates the main packages without compiling anything.
func goTestmains(t *testing.T, dir string, flags []string, patterns ...string) []goTestmain {
	t.Helper()
	args := append([]string{"list", "-e", "-test", "-json=ImportPath,Dir,ForTest,GoFiles,TestGoFiles,XTestGoFiles,Error"}, flags...)
	cmd := exec.Command("go", append(args, patterns...)...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, goEnv(), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	index := make(map[string]int)
	var mains []goTestmain
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		if err := dec.Decode(&p); err == io.EOF {
			return mains
		} else if err != nil {
			t.Fatal(err)
		}
		switch path, isMain := strings.CutSuffix(p.ImportPath, ".test"); {
		case p.ForTest != "":
		case isMain:
			m := &mains[index[path]]
			m.Main = p.GoFiles[0]
			if p.Error != nil {
				m.Err = p.Error.Err
			}
		default:
			index[p.ImportPath] = len(mains)
			mains = append(mains, goTestmain{TestFiles: TestFiles{Dir: p.Dir, Test: p.TestGoFiles, X: p.XTestGoFiles}, ImportPath: p.ImportPath})
		}
	}
}

// checkDiscovery compares Discover with what cmd/go made of the same packages.
func checkDiscovery(t *testing.T, mains []goTestmain, overlay Overlay) {
	t.Helper()
	var files []TestFiles
	for _, m := range mains {
		files = append(files, m.TestFiles)
	}
	for i, got := range Discover(files, overlay) {
		m := mains[i]
		if m.Err != "" || got.Err != nil {
			if got.Err == nil || !strings.HasSuffix(got.Err.Error(), m.Err) || m.Err == "" {
				t.Errorf("%s: error %v, go list has %q", m.ImportPath, got.Err, m.Err)
			}
			continue
		}
		if m.Main == "" {
			t.Errorf("%s: go list has no main package for it", m.ImportPath)
			continue
		}
		src, err := os.ReadFile(m.Main)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ParseTestmain(src)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Testmain, cmpopts.IgnoreFields(Item{}, "File")); diff != "" {
			t.Errorf("%s (-_testmain.go +ours):\n%s", m.ImportPath, diff)
		}
	}
}

func TestDiscoverAgreesWithGoOnStd(t *testing.T) {
	if testing.Short() {
		t.Skip("reads the standard library: left out by -short")
	}
	mains := goTestmains(t, "", nil, "strings", "bytes", "encoding/json", "net/http", "net", "text/template", "go/ast", "go/doc", "go/doc/comment",
		"os", "os/exec", "testing", "container/...", "sort", "errors", "fmt", "time", "unicode/utf8", "net/netip", "regexp", "slices", "maps")
	items, examples := 0, 0
	for i := range mains {
		if mains[i].Main == "" {
			t.Fatalf("%s has no tests", mains[i].ImportPath)
		}
	}
	checkDiscovery(t, mains, nil)
	for _, d := range Discover([]TestFiles{mains[0].TestFiles, mains[3].TestFiles}, nil) {
		for _, it := range d.Items {
			items++
			if it.Kind == KindExample {
				examples++
			}
		}
	}
	if items < 100 || examples < 10 {
		t.Errorf("found %d items, %d of them examples: the comparison compares nothing", items, examples)
	}
}

// oddTests has everything that is nearly a test, and tests that are nearly none.
const oddTests = `package odd

import (
	"fmt"
	tt "testing"
	. "testing"
)

func Test(t *tt.T)         {}
func TestMain(t *tt.T)     {}
func Test1(t *T)           {}
func Test_lower(_ *tt.T)   {}
func TestÄgypten(*tt.T)    {}
func Testägypten(t *tt.T)  {}
func Testing(t *tt.T)      {}
func TestBlank(_ *other.T) {}
func (x X) TestMethod(t *tt.T) {}
func FuzzIt(f *tt.F)       {}
func Fuzz(f *F)            {}
func Fuzzy(f *tt.F)        {}
func BenchmarkB(b *tt.B)   {}
func Benchmark(b *tt.B)    {}

var TestVar = func(t *tt.T) {}

type X struct{}

func ExampleNone() {}
func ExampleOut() {
	fmt.Println("x")
	// Output: x
}
func ExampleEmpty() {
	// Output:
}
func ExampleUnordered() {
	/*
	 unORDERED outPut:
	 a
	*/
}
func ExampleNotLast() {
	// Output: x
	fmt.Println("x")
	// and a remark
}
func ExampleInner() {
	func() {
		// output: in a literal
	}()
}
func Example() {
	fmt.Println()

	// Output:
	//
	// after a blank line
}
func Examplelower() {
	// Output: no example
}
func ExampleParam(x int) {
	// Output: no example
}
func ExampleResult() (x int) {
	return 0 // Output: no example
}
func ExampleMissing() // Output: no body
func ExampleGroups() {
	// Output: in a group of its own

	// The last one counts.
}
func ExampleNoResult() () {
	// Output: x
}
func (X) ExampleMethod() {
	// Output: x
}
func ExampleGeneric[P any]() {
	// Output: x
}
func ExampleOutX() { fmt.Println() /* Output: same line */ }

// Output: outside of the function
`

var oddModule = map[string]string{
	"go.mod":           "module example.com/m\n\ngo 1.26\n",
	"odd/a_test.go":    oddTests,
	"odd/b_test.go":    "package odd_test\nimport \"testing\"\nfunc TestX(t *testing.T) {}\nfunc TestMain(m *testing.M) {}\nfunc ExampleFirst() {\n// Output:\n}\n",
	"odd/c_test.go":    "package odd\nimport \"testing\"\nfunc TestLast(t *testing.T) {}\nfunc FuzzLast(f *testing.F) {}\n",
	"odd/d_test.go":    "//go:build never\n\npackage odd\nimport \"testing\"\nfunc TestNever(t *testing.T) {}\n",
	"odd/_e_test.go":   "package odd\nimport \"testing\"\nfunc TestHidden(t *testing.T) {}\n",
	"odd/x.go":         "package odd\nimport \"testing\"\nfunc TestNotInTestFile(t *testing.T) {}\n",
	"only/x_test.go":   "package only_test\nimport \"testing\"\nfunc TestOnly(t *testing.T) {}\n",
	"empty/e_test.go":  "package empty\n",
	"wrong1/x_test.go": "package p\nimport \"testing\"\nfunc TestA(t testing.T) {}\n",
	"wrong2/x_test.go": "package p\nimport \"testing\"\nfunc TestA[P any](t *testing.T) {}\n",
	"wrong3/x_test.go": "package p\nimport \"testing\"\nfunc BenchmarkA(t *testing.T) {}\n",
	"wrong4/x_test.go": "package p\nimport \"testing\"\nfunc FuzzA(a, b *testing.F) {}\n",
	"wrong5/x_test.go": "package p\nimport \"testing\"\nfunc TestMain(m *testing.M) error { return nil }\n",
	"wrong6/x_test.go": "package p\nimport \"testing\"\nfunc TestA(t *testing.T) int { return 0 }\n",
	"wrong7/x_test.go": "package p\nimport \"testing\"\n//line other.go:77\nfunc TestA() {}\n",
	"wrong8/x_test.go": "package p\nimport \"testing\"\nfunc TestMain(m *testing.M) {}\n",
	"wrong8/y_test.go": "package p_test\nimport \"testing\"\nfunc TestMain(m *testing.M) {}\nfunc TestBad() {}\n",
	"wrong9/x_test.go": "package p\nimport \"testing\"\nfunc TestMain(m *testing.M) {}\nfunc TestMain(m *testing.M) {}\n",
	"syntax/x_test.go": "package p\nimport \"testing\"\nfunc TestA(t *testing.T) {\nx = = 1\n}\n",
}

func TestDiscoverAgreesWithGoOnOddities(t *testing.T) {
	dir := writeTree(t, oddModule)
	mains := goTestmains(t, dir, nil, "./...")
	if len(mains) != 13 {
		t.Fatalf("go list has %d packages", len(mains))
	}
	// A parser's position is in Error.Pos, which is not compared: what is compared is a suffix of
	// the text.
	checkDiscovery(t, mains, nil)
	for _, m := range mains {
		if m.ImportPath != "example.com/m/odd" {
			continue
		}
		got := Discover([]TestFiles{m.TestFiles}, nil)[0]
		var names []string
		for _, it := range got.Items {
			names = append(names, it.Name)
		}
		want := strings.Fields("Test TestMain Test1 Test_lower TestÄgypten TestBlank TestLast TestX " +
			"FuzzIt Fuzz FuzzLast ExampleOut ExampleEmpty ExampleUnordered ExampleInner Example ExampleNoResult ExampleGeneric ExampleOutX ExampleFirst")
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
		if !got.HasTestMain || !cmp.Equal(got.Benchmarks, []string{"BenchmarkB", "Benchmark"}) {
			t.Errorf("TestMain %t, benchmarks %q", got.HasTestMain, got.Benchmarks)
		}
	}
}

func TestDiscoverHonoursOverlay(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"go.mod":       "module example.com/m\n\ngo 1.26\n",
		"a_test.go":    "package m\nimport \"testing\"\nfunc TestA(t *testing.T) {}\n",
		"b_test.go":    "package m\nimport \"testing\"\nfunc TestB(t *testing.T) {}\n",
		"else/new.txt": "package m\nimport \"testing\"\nfunc TestNew(t *testing.T) {}\n",
	})
	for name, replace := range map[string]map[string]string{
		"relative": {"a_test.go": "else/new.txt", "b_test.go": "", "c_test.go": "else/new.txt"},
		"absolute": {filepath.Join(dir, "b_test.go"): filepath.Join(dir, "else", "new.txt")},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := json.Marshal(map[string]any{"Replace": replace})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "overlay.json"), data, 0o644); err != nil {
				t.Fatal(err)
			}
			overlay, err := ReadOverlay("overlay.json", dir)
			if err != nil {
				t.Fatal(err)
			}
			mains := goTestmains(t, dir, []string{"-overlay=overlay.json"}, ".")
			checkDiscovery(t, mains, overlay)
		})
	}
}

func TestOverlayRemovesFiles(t *testing.T) {
	dir := writeTree(t, map[string]string{"a.go": "a", "b.go": "b"})
	o := Overlay{filepath.Join(dir, "a.go"): "", filepath.Join(dir, "c.go"): filepath.Join(dir, "b.go")}
	if _, err := o.readFile(filepath.Join(dir, "a.go")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a removed file: %v", err)
	}
	for _, name := range []string{"b.go", "c.go"} {
		if data, err := o.readFile(filepath.Join(dir, ".", name)); string(data) != "b" || err != nil {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestReadOverlayErrors(t *testing.T) {
	dir := writeTree(t, map[string]string{"bad.json": "{"})
	if _, err := ReadOverlay("none.json", dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := ReadOverlay("bad.json", dir); err == nil || !strings.Contains(err.Error(), `read overlay "bad.json": `) {
		t.Errorf("bad JSON: %v", err)
	}
	if o, err := ReadOverlay("", dir); o != nil || err != nil {
		t.Errorf("no overlay: %v, %v", o, err)
	}
}

func TestDiscoverMissingFile(t *testing.T) {
	dir := writeTree(t, map[string]string{"a_test.go": "package m\nimport \"testing\"\nfunc TestA(t *testing.T) {}\n"})
	files := []TestFiles{{Dir: dir, Test: []string{"gone_test.go", "a_test.go"}}, {Dir: dir, Test: []string{"a_test.go"}}, {Dir: dir}}
	got := Discover(files, nil)
	if !errors.Is(got[0].Err, os.ErrNotExist) || len(got[0].Items) != 1 {
		t.Errorf("missing file: %+v", got[0])
	}
	if got[1].Err != nil || len(got[1].Items) != 1 || got[2].Err != nil || len(got[2].Items) != 0 {
		t.Errorf("others: %+v %+v", got[1], got[2])
	}
}

func BenchmarkDiscoverNetHTTP(b *testing.B) {
	out, err := exec.Command("go", "list", "-json=Dir,TestGoFiles,XTestGoFiles", "net/http").Output()
	if err != nil {
		b.Fatal(err)
	}
	var p listedPackage
	if err := json.Unmarshal(out, &p); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if d := Discover([]TestFiles{{Dir: p.Dir, Test: p.TestGoFiles, X: p.XTestGoFiles}}, nil); d[0].Err != nil || len(d[0].Items) < 500 {
			b.Fatal(d[0].Err, len(d[0].Items))
		}
	}
}

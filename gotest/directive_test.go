package gotest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// discoverSource finds the tests of a package that has one test file, a_test.go.
func discoverSource(t *testing.T, source string) (Discovery, string) {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "a_test.go")
	if err := os.WriteFile(name, []byte(source), 0o666); err != nil {
		t.Fatal(err)
	}
	d := Discover([]TestFiles{{Dir: dir, Test: []string{"a_test.go"}}}, nil)[0]
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	return d, name
}

func TestDirectives(t *testing.T) {
	d, file := discoverSource(t, `package p

import "testing"

// TestAll has them all.
//
//xdist:group db
//xdist:exclusive
//xdist:resource port:2
//xdist:resource disk
//xdist:requires gpu
//xdist:requires big
//xdist:weight 3
//xdist:timeout 90s
//xdist:retries 2
func TestAll(t *testing.T) {}

// TestNone is told of in prose, xdist:group db, and
// xdist: runs it.
func TestNone(t *testing.T) {
	// xdist:group is not for here
	t.Log("//xdist:group x")
}

//xdist:timeout 0
//xdist:retries 0
func FuzzNever(f *testing.F) {}

//xdist:group docs
func Example() {
	// Output:
}

//go:noinline
//xdist:weight	4
func TestTabbed(t *testing.T) {}
`)
	want := []Item{
		{"TestAll", KindTest, "a_test.go", &Directives{Group: "db", Exclusive: true, Resources: []Resource{{"port", 2, 0}, {"disk", 1, 0}},
			Requires: []string{"gpu", "big"}, Weight: 3, Timeout: 90 * time.Second, Retries: 2, Pos: file + ":7"}},
		{"TestNone", KindTest, "a_test.go", nil},
		{"TestTabbed", KindTest, "a_test.go", &Directives{Weight: 4, Pos: file + ":35"}},
		{"FuzzNever", KindFuzz, "a_test.go", &Directives{Timeout: -1, Retries: -1, Pos: file + ":25"}},
		{"Example", KindExample, "a_test.go", &Directives{Group: "docs", Pos: file + ":29"}},
	}
	if diff := cmp.Diff(want, d.Items); diff != "" {
		t.Error(diff)
	}
	if d.Serial || len(d.Misplaced) > 0 {
		t.Errorf("serial %v, misplaced %v", d.Serial, d.Misplaced)
	}
}

func TestSerialPackage(t *testing.T) {
	for _, tc := range []struct {
		source string
		want   bool
	}{
		{"// Package p does.\n//\n//xdist:serial\npackage p\n", true},
		{"package p\n\nimport \"testing\"\n\n//xdist:serial\nfunc TestA(t *testing.T) {}\n", true},
		{"package p\n\nimport \"testing\"\n\n//xdist:weight 2\nfunc TestA(t *testing.T) {}\n", false},
	} {
		if d, _ := discoverSource(t, tc.source); d.Serial != tc.want || len(d.Misplaced) > 0 {
			t.Errorf("serial %v, %v:\n%s", d.Serial, d.Misplaced, tc.source)
		}
	}
}

// TestDirectiveThatMeansNothing: each is an error with its place, and none does nothing in silence.
func TestDirectiveThatMeansNothing(t *testing.T) {
	for _, tc := range []struct{ comment, want string }{
		{"//xdist:grup db", "no such directive; there are group, exclusive, resource, requires, serial, weight, timeout, retries"},
		{"//xdist:", "no such directive"},
		{"// xdist:group db", "without a space"},
		{"//xdist:group", "wants a value"},
		{"//xdist:group a b", "want one word, and there are 2"},
		{"//xdist:group a\n//xdist:group b", "is given twice"},
		{"//xdist:exclusive yes", "takes no value"},
		{"//xdist:serial db", "takes no value"},
		{"//xdist:resource db:0", "number from 1"},
		{"//xdist:resource :2", "there is no name"},
		{"//xdist:resource db\n//xdist:resource db:2", "resource db is given twice"},
		{"//xdist:requires gpu\n//xdist:requires gpu", "label gpu is given twice"},
		{"//xdist:weight 0", "number from 1"},
		{"//xdist:weight x", "number from 1"},
		{"//xdist:timeout 90", "duration such as 90s"},
		{"//xdist:timeout -1s", "duration such as 90s"},
		{"//xdist:retries -1", "0 for never"},
	} {
		d, file := discoverSource(t, "package p\n\nimport \"testing\"\n\n"+tc.comment+"\nfunc TestA(t *testing.T) {}\n")
		line := file + ":5: "
		if strings.Contains(tc.comment, "\n") {
			line = file + ":6: "
		}
		if len(d.Misplaced) != 1 || !strings.HasPrefix(d.Misplaced[0].Error(), line) || !strings.Contains(d.Misplaced[0].Error(), tc.want) {
			t.Errorf("%s: got %v, want %s… %s", tc.comment, d.Misplaced, line, tc.want)
		}
	}
}

func TestMisplacedDirective(t *testing.T) {
	for _, tc := range []struct{ source, want string }{
		{"//xdist:group db\n\nfunc TestA(t *testing.T) {}", ":5: //xdist:group db: stands where it does nothing"},
		{"func TestA(t *testing.T) {\n\t//xdist:group db\n}", ":6: "},
		{"//xdist:group db\nfunc TestMain(m *testing.M) {}", ":5: "},
		{"//xdist:group db\nfunc BenchmarkA(b *testing.B) {}", ":5: "},
		{"//xdist:serial\nfunc help(t *testing.T) {}", ":5: "},
		{"type s struct{}\n\n//xdist:group db\nfunc (s) TestA(t *testing.T) {}", ":7: "},
		{"//xdist:group db\nfunc Example() {}", ":5: "},
	} {
		d, file := discoverSource(t, "package p\n\nimport \"testing\"\n\n"+tc.source+"\n")
		if len(d.Misplaced) != 1 || !strings.HasPrefix(d.Misplaced[0].Error(), file+tc.want) {
			t.Errorf("%s: got %v", tc.source, d.Misplaced)
		}
	}
	d, file := discoverSource(t, "//xdist:group db\npackage p\n")
	if len(d.Misplaced) != 1 || d.Misplaced[0].Error() != file+":1: //xdist:group db: only //xdist:serial can stand at the package clause" {
		t.Errorf("package clause: got %v", d.Misplaced)
	}
}

// TestKnownTestsAreFound: where names are known, files and directives are found without a parser
// for most files.
func TestKnownTestsAreFound(t *testing.T) {
	dir := t.TempDir()
	for name, source := range map[string]string{
		"a_test.go": "package p\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {}\n\nfunc helper() {}\n\nfunc Example() {\n\t// Output:\n}\n",
		"b_test.go": "package p\n\nimport \"testing\"\n\n//xdist:group g\nfunc TestB(t *testing.T) {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	d := Discover([]TestFiles{{Dir: dir, Test: []string{"a_test.go", "b_test.go"}, Known: true}}, nil)[0]
	names := []Item{{Name: "Example", Kind: KindExample}, {Name: "TestB", Kind: KindTest}, {Name: "TestA", Kind: KindTest}, {Name: "TestNew", Kind: KindTest}}
	want := []Item{
		{Name: "Example", Kind: KindExample, File: "a_test.go"},
		{Name: "TestB", Kind: KindTest, File: "b_test.go", Directives: &Directives{Group: "g", Pos: filepath.Join(dir, "b_test.go") + ":5"}},
		{Name: "TestA", Kind: KindTest, File: "a_test.go"},
		{Name: "TestNew", Kind: KindTest},
	}
	if diff := cmp.Diff(want, Annotated(names, d.Items)); diff != "" {
		t.Error(diff)
	}
	if len(names[1].File) > 0 {
		t.Error("Annotated has changed what it was given")
	}
}

func BenchmarkKnown(b *testing.B) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skipf("no go command to ask for GOROOT: %v", err)
	}
	var files []TestFiles
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src", "net"), func(name string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(name, "_test.go") {
			files = append(files, TestFiles{Dir: filepath.Dir(name), Test: []string{filepath.Base(name)}, Known: true})
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		Discover(files, nil)
	}
}

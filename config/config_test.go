package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdist-go/xdist/gotest"
)

var update = flag.Bool("update", false, "write the goldens anew")

var testFlags = []string{"tx", "dist", "maxfail", "allow-missing"}

// TestErrors holds every error of testdata/*.toml against the golden beside it.
func TestErrors(t *testing.T) {
	names, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			_, err := Load(filepath.ToSlash(name), testFlags)
			if err == nil {
				t.Fatal("it was taken")
			}
			golden := strings.TrimSuffix(name, ".toml") + ".golden"
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := Load("testdata/none", nil); err == nil || !strings.HasPrefix(err.Error(), "read configuration testdata/none: ") {
		t.Errorf("no file: %v", err)
	}
}

const whole = `
[run]
tx = ["2*popen", "ssh=b"]
dist = "loadscope"
maxfail = 3
allow-missing = true

[resources]
db = 2

[[tests]]
match = "example.com/m/..."
timeout = "1m"
requires = "linux"

[[tests]]
match = "example.com/m/store::^TestDB"
group = "g"
exclusive = true
resource = ["db:2", "port"]
requires = ["linux", "big"]
weight = 2
timeout = "0s"
retries = 0

[[tests]]
match = "::Slow"
serial = true
`

func parsed(t *testing.T, text string) *File {
	t.Helper()
	f, err := parse("x.toml", []byte(text), testFlags)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSettings(t *testing.T) {
	want := []Setting{{"tx", []string{"2*popen", "ssh=b"}}, {"dist", []string{"loadscope"}}, {"maxfail", []string{"3"}}, {"allow-missing", []string{"true"}}}
	if diff := cmp.Diff(want, parsed(t, whole).Run); diff != "" {
		t.Error(diff)
	}
}

func TestResolve(t *testing.T) {
	own := &gotest.Directives{Group: "own", Resources: []gotest.Resource{{Name: "port", Units: 1}, {Name: "gpu", Units: 1}}, Retries: 4, Pos: "a_test.go:3"}
	packages := []gotest.Package{
		{ImportPath: "example.com/m", Items: []gotest.Item{{Name: "TestA"}}},
		{ImportPath: "example.com/m/store", Items: []gotest.Item{{Name: "TestDBOne"}, {Name: "TestDBTwo", Directives: own}, {Name: "TestOther"}}},
		{ImportPath: "example.com/more", Items: []gotest.Item{{Name: "TestA"}, {Name: "TestVerySlow"}}},
	}
	was := packages[1].Items
	if err := parsed(t, whole).Resolve(packages); err != nil {
		t.Fatal(err)
	}
	common := &gotest.Directives{Requires: []string{"linux"}, Timeout: time.Minute, Pos: "x.toml:11"}
	db := &gotest.Directives{
		Group: "g", Exclusive: true, Resources: []gotest.Resource{{Name: "db", Units: 2, Limit: 2}, {Name: "port", Units: 1, Limit: 1}}, Requires: []string{"linux", "big"},
		Weight: 2, Timeout: -1, Retries: -1, Pos: "x.toml:16",
	}
	both := *db
	both.Group, both.Retries, both.Pos = "own", 4, "a_test.go:3"
	both.Resources = append(both.Resources[:2:2], gotest.Resource{Name: "gpu", Units: 1, Limit: 1})
	want := []gotest.Package{
		{ImportPath: "example.com/m", Items: []gotest.Item{{Name: "TestA", Directives: common}}},
		{ImportPath: "example.com/m/store", Items: []gotest.Item{{Name: "TestDBOne", Directives: db}, {Name: "TestDBTwo", Directives: &both}, {Name: "TestOther", Directives: common}}},
		{ImportPath: "example.com/more", Serial: true, Items: []gotest.Item{{Name: "TestA"}, {Name: "TestVerySlow", Directives: &gotest.Directives{Serial: true, Pos: "x.toml:26"}}}},
	}
	if diff := cmp.Diff(want, packages, cmpopts.IgnoreUnexported(gotest.Package{})); diff != "" {
		t.Error(diff)
	}
	if was[1].Directives != own || own.Resources[0].Limit != 0 {
		t.Error("Resolve has changed what it was given")
	}
}

// TestTooMuch: a test that can never have what it asks for is an error, and not one that waits or
// does not care.
func TestTooMuch(t *testing.T) {
	p := []gotest.Package{{ImportPath: "m", Items: []gotest.Item{{Name: "TestA", Directives: &gotest.Directives{Resources: []gotest.Resource{{Name: "db", Units: 3}}, Pos: "a_test.go:7"}}}}}
	err := parsed(t, "[resources]\ndb = 2\n").Resolve(p)
	if err == nil || err.Error() != "a_test.go:7: resource db: m::TestA takes 3 of it and there is 2; [resources] in .config/xdist.toml says how much there is" {
		t.Error(err)
	}
	p[0].Items[0].Directives.Resources[0].Units = 2
	if err := new(File).Resolve(p); err == nil {
		t.Error("without a configuration there is one of each")
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		match, path, test string
		want              bool
	}{
		{"a/b", "a/b", "TestX", true},
		{"a/b", "a/b/c", "TestX", false},
		{"a/b/...", "a/b", "TestX", true},
		{"a/b/...", "a/b/c/d", "TestX", true},
		{"a/b/...", "a/bc", "TestX", false},
		{".../c", "a/b/c", "TestX", true},
		{"a.b/c", "aXb/c", "TestX", false},
		{"...::TestX", "a", "TestXY", true},
		{"::^TestX$", "a", "TestXY", false},
		{"a::Y$", "b", "TestXY", false},
	} {
		r := Rule{Match: tc.match}
		if err := r.compile(); err != nil {
			t.Fatal(err)
		}
		if got := r.Matches(tc.path, tc.test); got != tc.want {
			t.Errorf("%s on %s::%s: %v", tc.match, tc.path, tc.test, got)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	if got := Find(dir); got != "" {
		t.Errorf("found %s", got)
	}
	name := filepath.Join(dir, ".config", "xdist.toml")
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := Find(dir); got != name {
		t.Errorf("found %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("[[tests]]\nmatch = 3"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if file, err := parse("x", text, testFlags); err == nil {
			_ = file.Resolve([]gotest.Package{{ImportPath: "a", Items: []gotest.Item{{Name: "TestA"}}}})
		}
	})
}

package gotest

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// account builds the tests of dir and runs none. It returns what the go command has to say of it,
// and the testmainSum of each test binary by the import path of its package.
func account(t *testing.T, dir, line string) (*actions, map[string]string) {
	t.Helper()
	tmp := t.TempDir()
	name := filepath.Join(tmp, "actions.json")
	args := append([]string{"test", actionsFlag + "=" + name, "-work", "-count=1", "-run=^$"}, strings.Fields(line)...)
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, goEnv("GOTMPDIR="+tmp)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, out)
	}
	acts, err := readActions(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var places []struct{ Mode, Package, Objdir string }
	if err := json.Unmarshal(data, &places); err != nil {
		t.Fatal(err)
	}
	mains := make(map[string]string)
	for _, p := range places {
		if p.Mode == "link" {
			src, err := os.ReadFile(filepath.Join(p.Objdir, "_testmain.go"))
			if err != nil {
				t.Fatal(err)
			}
			mains[strings.TrimSuffix(p.Package, ".test")] = testmainSum(src)
		}
	}
	return acts, mains
}

// accountModule has every kind of package that a key can be of.
var accountModule = map[string]string{
	"command/main.go":      "package main\nimport \"example.com/m/q\"\nfunc main() { _ = q.X }\n",
	"tested/main.go":       "package main\nfunc main() {}\n",
	"tested/main_test.go":  "package main\nimport \"testing\"\nfunc TestM(t *testing.T) {}\n",
	"outside/x.go":         "package outside\nconst X = 1\n",
	"outside/x_test.go":    "package outside_test\nimport (\n\"testing\"\n\"example.com/m/outside\"\n\"example.com/m/user\"\n)\nfunc TestX(t *testing.T) { _ = outside.X + user.X }\n",
	"outside/in_test.go":   "package outside\nconst Y = 1\n",
	"user/user.go":         "package user\nimport \"example.com/m/outside\"\nconst X = outside.X\n",
	"network/net_test.go":  "package network\nimport (\n_ \"net/http\"\n\"testing\"\n)\nfunc TestN(t *testing.T) {}\n",
	"leaf/leaf.go":         "package leaf\n",
	"debugged/d_test.go":   "//go:debug panicnil=1\npackage debugged\nimport \"testing\"\nfunc TestD(t *testing.T) {}\n",
	"command/ignored.go":   "//go:build never\n\npackage main\n",
	"command/testdata/x.c": "",
}

func TestBuiltKeyIsLinkKey(t *testing.T) {
	tree := maps.Clone(keyModule)
	maps.Copy(tree, accountModule)
	lines := []string{"./...", "./... -ldflags=-X=a.b=c", "./... -vet=off -tags=x", "./p ./command ./debugged -buildmode=pie", "./... -gcflags=-N", "./p ./command ./debugged -trimpath", "./p ./command"}
	if _, err := exec.LookPath("cc"); err == nil {
		lines = append(lines, "./... -ldflags=-linkmode=external")
		tree["c/c.go"] = "package c\nimport \"C\"\nfunc F() {}\n"
		tree["c/c_test.go"] = "package c\nimport \"testing\"\nfunc TestC(t *testing.T) {}\n"
	} else {
		t.Log("without cgo, for want of a C compiler: ", err)
	}
	dir := writeTree(t, tree)
	for _, line := range lines {
		want := keys(t, dir, line)
		acts, mains := account(t, dir, line)
		listing := mustList(t, dir, line, false)
		got := make(map[string]string)
		for _, p := range listing.Packages {
			got[filepath.Base(p.ImportPath)] = listing.builtKey(p, mains[p.ImportPath], acts, time.Now().Add(time.Hour))
		}
		if diff := cmp.Diff(want, got); diff != "" || slices.Contains(slices.Collect(maps.Values(got)), "") {
			t.Errorf("%s: keys (-listed +built):\n%s", line, diff)
		}
	}
}

func TestBuiltKeyIsOfWhatWasBuilt(t *testing.T) {
	dir := writeTree(t, keyModule)
	acts, mains := account(t, dir, "./...")
	before := keys(t, dir, "./...")
	built := func(began time.Time) map[string]string {
		listing, m := mustList(t, dir, "./...", false), make(map[string]string)
		for _, p := range listing.Packages {
			m[filepath.Base(p.ImportPath)] = listing.builtKey(p, mains[p.ImportPath], acts, began)
		}
		return m
	}
	for _, c := range []struct{ file, text, want string }{
		{"q/q.go", "package q\nconst X = 3\n", "p q s"},
		{"p/p_test.go", "package p\n", "p"},
		{"p/x_test.go", "package p_test\n", "p"},
		{"p/data/text", "other", "p"},
		{"p/never.go", "//go:build never\n\npackage p\n//\n", "p"},
		{"r/new_test.go", "package r\n", "r"},
		{"r/note.txt", "text", ""}, // as tests write into their directories
		{"p/testdata/read", "other", ""},
		{"go.mod", keyModule["go.mod"] + "\n", "p q r s"},
	} {
		began := lastChange(t, dir).Add(2 * clockSlack)
		for probe := filepath.Join(t.TempDir(), "probe"); !lastChange(t, filepath.Dir(probe)).After(began); {
			if err := os.WriteFile(probe, nil, 0o644); err != nil { // until the file system's clock has passed began
				t.Fatal(err)
			}
		}
		if got := changed(before, built(began)); got != "" && c.file != "go.mod" {
			t.Fatalf("before %s changes the keys of %q are not the listed ones", c.file, got)
		}
		name := filepath.Join(dir, filepath.FromSlash(c.file))
		if err := os.WriteFile(name, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		none := make(map[string]string)
		for key := range before {
			none[key] = before[key]
			if slices.Contains(strings.Fields(c.want), key) {
				none[key] = ""
			}
		}
		if diff := cmp.Diff(none, built(began)); diff != "" {
			t.Errorf("%s changes while it is built (-want +got):\n%s", c.file, diff)
		}
		var err error
		if text, ok := keyModule[c.file]; ok {
			err = os.WriteFile(name, []byte(text), 0o644)
		} else {
			err = os.Remove(name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	// A source that is gone when the keys are made was in the binary: the key is that of the binary
	// and not of what is left.
	gone := filepath.Join(dir, "q", "more.go")
	if err := os.WriteFile(gone, []byte("package q\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	whole := keys(t, dir, "./...")
	acts, mains = account(t, dir, "./...")
	began := time.Now().Add(time.Hour)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole, built(began)); diff != "" {
		t.Errorf("a source was removed since the build (-whole +got):\n%s", diff)
	}
	if got := changed(built(began), keys(t, dir, "./...")); got != "p q s" {
		t.Errorf("what is left has other keys for %q only", got)
	}
}

func TestReadActionsRefuses(t *testing.T) {
	name := filepath.Join(t.TempDir(), "actions.json")
	if _, err := readActions(name); err == nil {
		t.Error("no error for a file that is not there")
	}
	for _, text := range []string{"", "{}", `[{"Mode":"link","Deps":[1]}]`, `[{"Mode":"link","Deps":[-1]}]`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readActions(name); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
	for what, text := range map[string]string{
		"no account of the link":      `[{"Mode":"build","Package":"m.test","BuildID":"a/b"}]`,
		"a package without build id":  `[{"Mode":"link","Package":"m.test","Cmd":["link"],"Deps":[1]},{"Mode":"build","Package":"q"}]`,
		"a link that did not happen":  `[{"Mode":"link","Package":"m.test","Deps":[1]},{"Mode":"build","Package":"q","BuildID":"a/b"}]`,
		"two packages of one name":    `[{"Mode":"link","Package":"m.test","Cmd":["link"],"Deps":[1,2]},{"Mode":"build","Package":"q","BuildID":"a/b"},{"Mode":"build","Package":"q","BuildID":"a/c"}]`,
		"a link of nothing":           `[{"Mode":"link","Package":"m.test","Cmd":["link"]}]`,
		"another package than wanted": `[{"Mode":"link","Package":"n.test","Cmd":["link"],"Deps":[1]},{"Mode":"build","Package":"q","BuildID":"a/b"}]`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		acts, err := readActions(name)
		if err != nil {
			t.Fatal(err)
		}
		if made, ok := acts.linked("m"); ok {
			t.Errorf("%s: linked from %v", what, made)
		}
		if made, ok := acts.compiled("m"); ok {
			t.Errorf("%s: compiled from %v", what, made)
		}
	}
}

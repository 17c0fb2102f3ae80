package integration

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/xdist-go/xdist"

// rule is one line of the table of packages: who may import whom, and what must never be there.
// Packages below the named one belong to it, unless they have a line of their own.
type rule struct {
	pkg     string
	may     []string // our packages; "*" is all that anybody may import
	never   []string // packages of others, with all that is below them
	calls   []string // selectors that must not appear
	noGo    bool     // no go statement
	private bool     // nobody imports it who does not name it
	tests   bool     // only tests import it, and all may; others have to name it
}

var clockCalls = []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker", "time.Tick"}

var importPolicy = []rule{
	{pkg: "xspec", may: []string{"internal/cmdline"}, never: []string{"net", "os", "syscall", "io"}},
	{pkg: "gateway", may: []string{"xspec", "gateway/keyed", "internal/cmdline", "internal/diskspace", "internal/gobuild", "internal/netsock", "internal/ownfile", "internal/procgroup", "internal/programs", "internal/sshclient", "internal/turns"}, never: []string{"testing", "flag", "gotest.tools"}},
	{pkg: "gateway/keyed", may: []string{"internal/ownfile"}, never: []string{"testing", "flag", "os/exec"}, noGo: true},
	{pkg: "agents", may: []string{"gateway", "internal/gobuild", "internal/ownfile", "internal/turns"}, never: []string{"net", "testing", "flag"}},
	{pkg: "internal/gobuild", may: []string{"internal/ownfile"}, never: []string{"net", "testing", "flag"}, noGo: true},
	{pkg: "internal/cmdline", never: []string{"net", "os", "io", "syscall", "context", "testing", "flag"}, calls: clockCalls, noGo: true},
	{pkg: "internal/diskspace", never: []string{"net", "testing", "flag", "os/exec"}, noGo: true},
	{pkg: "internal/lockfile", never: []string{"net", "testing", "flag", "os/exec"}, noGo: true},
	{pkg: "internal/netsock", may: []string{"internal/lockfile"}, never: []string{"testing", "flag", "os/exec"}, noGo: true},
	{pkg: "internal/ownfile", never: []string{"net", "testing", "flag", "os/exec"}, noGo: true},
	{pkg: "internal/procgroup", never: []string{"net", "testing", "flag"}, noGo: true},
	{pkg: "internal/programs", may: []string{"internal/diskspace", "internal/lockfile", "internal/ownfile"}, never: []string{"net", "testing", "flag", "os/exec"}, noGo: true},
	{pkg: "internal/sshclient", may: []string{"internal/cmdline", "internal/ownfile", "internal/procgroup", "internal/turns"}, never: []string{"testing", "flag", "gotest.tools"}, private: true},
	{pkg: "internal/chromium", never: []string{"net", "flag"}, noGo: true, tests: true},
	{pkg: "internal/strangers", never: []string{"net", "flag", "os/exec"}, tests: true},
	{pkg: "internal/turns", never: []string{"net", "testing", "flag"}, noGo: true},
	{pkg: "network", may: []string{"xspec", "gateway", "internal/netsock"}, never: []string{"testing", "flag", "os/exec"}},
	{pkg: "rsync", may: []string{"gateway", "internal/diskspace", "internal/lockfile", "internal/ownfile"}, never: []string{"testing", "flag"}},
	{pkg: "gotest", may: []string{"internal/diskspace", "internal/lockfile", "internal/ownfile", "internal/procgroup"}, never: []string{"net", "testing"}},
	{pkg: "history", may: []string{"internal/ownfile"}, never: []string{"net", "testing", "flag", "os/exec"}, noGo: true},
	{pkg: "config", may: []string{"gotest", "internal/ownfile"}, never: []string{"net", "testing", "flag", "os/exec"}, noGo: true},
	{pkg: "merge", may: []string{"gotest", "scheduler/event", "reporters", "shard"}, never: []string{"net", "testing", "flag", "os/exec"}, noGo: true},
	{pkg: "shard", may: []string{"gotest"}, never: []string{"net", "os", "io", "testing"}, calls: clockCalls, noGo: true},
	{pkg: "scheduler/policy", never: []string{"os", "net", "io", "syscall", "log", "context"}, calls: clockCalls, noGo: true},
	{pkg: "scheduler/attempt", never: []string{"os", "net", "io", "syscall", "log", "context"}, calls: clockCalls, noGo: true},
	{pkg: "scheduler/event", may: []string{"gotest", "history"}, never: []string{"net", "os", "io", "syscall", "log", "context", "testing", "flag"}, calls: clockCalls, noGo: true},
	{pkg: "scheduler/wire", may: []string{"gotest"}, never: []string{"net", "os", "io", "syscall", "log", "context", "testing", "flag"}, calls: clockCalls, noGo: true},
	{pkg: "scheduler/hosts", may: []string{"xspec", "gateway", "rsync", "gotest", "internal/diskspace", "internal/lockfile", "internal/ownfile", "internal/programs", "internal/turns", "scheduler/wire"}, never: []string{"net", "testing", "flag"},
		calls: []string{"fmt.Print", "fmt.Printf", "fmt.Println", "os.Stdout", "os.Stderr", "os.Exit"}},
	{pkg: "scheduler/worker", may: []string{"gateway", "rsync", "gotest", "internal/lockfile", "scheduler/hosts", "scheduler/wire"}, never: []string{"net", "testing", "flag"},
		calls: []string{"fmt.Print", "fmt.Printf", "fmt.Println", "os.Stdout", "os.Stderr", "os.Exit"}},
	{pkg: "scheduler/hostbuild", may: []string{"gateway", "rsync", "gotest", "scheduler/hosts", "scheduler/wire"}, never: []string{"net", "testing", "flag"},
		calls: []string{"fmt.Print", "fmt.Printf", "fmt.Println", "os.Stdout", "os.Stderr", "os.Exit"}},
	{pkg: "scheduler", may: []string{"xspec", "gateway", "gotest", "history", "scheduler/attempt", "scheduler/event", "scheduler/hostbuild", "scheduler/hosts", "scheduler/policy", "scheduler/wire"}, never: []string{"flag", "github.com/urfave"},
		calls: []string{"fmt.Print", "fmt.Printf", "fmt.Println", "os.Stdout", "os.Stderr", "os.Exit"}},
	{pkg: "internal/atomicfile", never: []string{"net", "flag", "testing", "os/exec"}, noGo: true},
	{pkg: "reporters/failure", may: []string{"gotest", "scheduler/event"}, never: []string{"net", "flag", "os/exec", "testing"}, noGo: true},
	{pkg: "reporters/ci", may: []string{"gotest", "reporters/failure", "scheduler/event"}, never: []string{"net", "flag", "testing"}, calls: []string{"os.Exit"}, noGo: true},
	{pkg: "reporters/timeline", may: []string{"gotest", "scheduler/event"}, never: []string{"net", "flag", "testing", "os", "io"}, noGo: true},
	{pkg: "reporters/trace", may: []string{"gotest", "internal/atomicfile", "reporters/timeline", "scheduler/event"}, never: []string{"net", "flag", "testing", "os/exec"}, noGo: true},
	{pkg: "reporters/html", may: []string{"gotest", "history", "internal/atomicfile", "reporters/failure", "reporters/timeline", "scheduler/event"}, never: []string{"net", "flag", "testing", "os/exec"}, noGo: true},
	{pkg: "reporters/ui", may: []string{"gotest", "reporters/failure", "reporters/html", "scheduler/event"}, never: []string{"flag", "testing", "os/exec"}},
	{pkg: "reporters/otel", may: []string{"gotest", "reporters/failure", "reporters/timeline", "scheduler/event"}, never: []string{"net", "flag", "testing", "os/exec"}, noGo: true},
	{pkg: "reporters/outputs", may: []string{"gotest", "internal/atomicfile", "internal/ownfile", "scheduler/event"}, never: []string{"net", "flag", "testing", "os/exec"}, noGo: true},
	{pkg: "reporters", may: []string{"gotest", "history", "internal/atomicfile", "reporters/ci", "reporters/failure", "reporters/html", "reporters/outputs", "reporters/trace", "scheduler/event"}, never: []string{"net", "flag", "os/exec"}, calls: []string{"os.Exit"}},
	{pkg: "cmd/xdist", may: []string{"*"}, private: true},
	{pkg: "integration", may: []string{"*", "integration/netns", "integration/sshd"}, private: true},
	{pkg: "integration/netns", may: []string{"integration/sshd"}, private: true},
	{pkg: "integration/sshd", tests: true},
	{pkg: "examples", may: []string{"gateway", "agents", "rsync"}, private: true},
	{pkg: "bench", may: []string{"*", "integration/netns"}, private: true},
}

// ruleOf is the line with the longest name that covers a folder, or nil.
func ruleOf(folder string) *rule {
	var best *rule
	for i := range importPolicy {
		r := &importPolicy[i]
		if (folder == r.pkg || strings.HasPrefix(folder, r.pkg+"/")) && (best == nil || len(r.pkg) > len(best.pkg)) {
			best = r
		}
	}
	return best
}

// check returns what the file in a folder of the module does against its rule.
func check(folder string, f *ast.File, test bool) []string {
	r := ruleOf(folder)
	if r == nil {
		return []string{"the folder is not in the table of packages"}
	}
	var wrong []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		wrong = append(wrong, r.checkImport(p, test)...)
	}
	if test {
		return wrong
	}
	return append(wrong, r.checkBody(f)...)
}

func (r *rule) checkImport(p string, test bool) []string {
	ours, isOurs := strings.CutPrefix(p, modulePath+"/")
	if !isOurs {
		banned := func(n string) bool { return p == n || strings.HasPrefix(p, n+"/") }
		if !test && slices.ContainsFunc(r.never, banned) {
			return []string{fmt.Sprintf("%s must never import %s", r.pkg, p)}
		}
		return nil
	}
	target := ruleOf(ours)
	switch {
	case target == nil:
		return []string{fmt.Sprintf("%s is not in the table of packages", ours)}
	case target.pkg == r.pkg:
	case target.tests && test, slices.Contains(r.may, target.pkg):
	case target.private || target.tests:
		return []string{fmt.Sprintf("nobody imports %s", target.pkg)}
	case slices.Contains(r.may, "*"):
	default:
		return []string{fmt.Sprintf("%s may not import %s", r.pkg, ours)}
	}
	return nil
}

func (r *rule) checkBody(f *ast.File) []string {
	var wrong []string
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if r.noGo {
				wrong = append(wrong, r.pkg+" must not start a goroutine")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(r.calls, x.Name+"."+n.Sel.Name) {
				wrong = append(wrong, fmt.Sprintf("%s must not use %s.%s", r.pkg, x.Name, n.Sel.Name))
			}
		}
		return true
	})
	return wrong
}

// TestImportPolicy reads the sources itself: go test would cache a test that asks the go command.
func TestImportPolicy(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != ".." && (base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		folder := path.Dir(filepath.ToSlash(name))
		if !strings.HasSuffix(base, ".go") || folder == ".." {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return nil
		}
		files++
		for _, w := range check(strings.TrimPrefix(folder, "../"), f, strings.HasSuffix(base, "_test.go")) {
			t.Errorf("%s: %s", name, w)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d files read: the walk begins in the wrong place", files)
	}
}

// TestImportPolicyBites gives the check sources that break each kind of rule.
func TestImportPolicyBites(t *testing.T) {
	for _, c := range []struct {
		folder, source string
		test, wrong    bool
	}{
		{"xspec", `import "strings"`, false, false},
		{"agents", `import "` + modulePath + `/gateway"`, false, false},
		{"agents", `import "` + modulePath + `/gotest"`, false, true},
		{"gateway", `import "` + modulePath + `/agents"`, false, true},
		{"xspec", `import "os"`, false, true},
		{"xspec", `import "net/url"`, false, true},
		{"xspec", `import "os"`, true, false},
		{"gateway", `import "` + modulePath + `/xspec"`, false, false},
		{"gateway", `import "` + modulePath + `/gotest"`, false, true},
		{"gateway", `import "` + modulePath + `/gotest"`, true, true},
		{"gotest/store", `import "` + modulePath + `/gotest/unit"`, false, false},
		{"gotest/unit", `import "` + modulePath + `/gateway"`, false, true},
		{"gotest/store", `import "` + modulePath + `/internal/lockfile"`, false, false},
		{"gateway", `import "` + modulePath + `/internal/lockfile"`, false, true},
		{"gateway", `import "` + modulePath + `/internal/sshclient"`, false, false},
		{"cmd/xdist", `import "` + modulePath + `/internal/sshclient"`, false, true},
		{"internal/sshclient", `import "` + modulePath + `/gateway"`, false, true},
		{"scheduler", `import "` + modulePath + `/gotest/test2json"`, false, false},
		{"history", `import "` + modulePath + `/gotest"`, false, true},
		{"reporters", `import "` + modulePath + `/history"`, false, false},
		{"scheduler", `import "fmt"; func f() { fmt.Println() }`, false, true},
		{"scheduler/policy", `import "` + modulePath + `/gotest"`, false, true},
		{"scheduler/policy", `import "time"; var d time.Duration`, false, false},
		{"scheduler/policy", `import "time"; var n = time.Now()`, false, true},
		{"scheduler/policy", `import "time"; var n = time.Now()`, true, false},
		{"scheduler/policy", `func f() { go f() }`, false, true},
		{"scheduler/attempt", `import "` + modulePath + `/scheduler/event"`, false, true},
		{"scheduler/attempt", `import "time"; var n = time.Now()`, false, true},
		{"scheduler", `import "` + modulePath + `/scheduler/attempt"`, false, false},
		{"reporters", `import "` + modulePath + `/gateway"`, false, true},
		{"reporters", `import "` + modulePath + `/scheduler/policy"`, false, true},
		{"reporters", `import "` + modulePath + `/scheduler/event"`, false, false},
		{"reporters", `import "` + modulePath + `/scheduler"`, false, true},
		{"scheduler/event", `import "` + modulePath + `/scheduler"`, false, true},
		{"scheduler/worker", `import "` + modulePath + `/scheduler/wire"`, false, false},
		{"scheduler", `import "` + modulePath + `/scheduler/worker"`, false, true},
		{"cmd/xdist", `import "` + modulePath + `/reporters"`, false, false},
		{"cmd/xdist", `import "` + modulePath + `/integration"`, false, true},
		{"integration/fidelity", `import "` + modulePath + `/integration/internal/compare"`, false, false},
		{"integration/netns", `import "` + modulePath + `/integration/sshd"`, false, false},
		{"cmd/xdist", `import "` + modulePath + `/integration/sshd"`, false, true},
		{"elsewhere", ``, false, true},
		{"gateway", `import "` + modulePath + `/elsewhere"`, false, true},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; "+c.source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := check(c.folder, f, c.test); (len(wrong) > 0) != c.wrong {
			t.Errorf("%s, test %v: %s: got %q", c.folder, c.test, c.source, wrong)
		}
	}
}

// TestImportPolicyIsDocumented compares the table with that of ARCHITECTURE.md.
func TestImportPolicyIsDocumented(t *testing.T) {
	b, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "| package | is | may import (ours) |\n|---|---|---|\n")
	text, _, found := strings.Cut(text, "\n\n")
	if !found {
		t.Fatal("ARCHITECTURE.md has no table of packages")
	}
	documented := make(map[string]string)
	for line := range strings.SplitSeq(text, "\n") {
		if cells := strings.Split(strings.Trim(line, "| "), " | "); len(cells) == 3 {
			documented[cells[0]] = cells[2]
		}
	}
	for _, r := range importPolicy {
		want := strings.ReplaceAll(strings.Join(r.may, ", "), "*", "all")
		if want == "" {
			want = "–"
		}
		if got := documented[r.pkg]; got != want {
			t.Errorf("%s: the table of ARCHITECTURE.md has %q, want %q", r.pkg, got, want)
		}
		delete(documented, r.pkg)
	}
	for pkg := range documented {
		t.Errorf("%s is in ARCHITECTURE.md and not in the policy", pkg)
	}
}

// TestMainIsShort keeps logic out of the command's main file.
func TestMainIsShort(t *testing.T) {
	const limit = 80 // lines
	b, err := os.ReadFile("../cmd/xdist/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n > limit {
		t.Errorf("cmd/xdist/main.go has %d lines, at most %d are allowed", n, limit)
	}
}

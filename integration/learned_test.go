package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

// What one run has learned must not make the verdicts of the next ones others than go test's: in
// other circumstances, and of tests whose process says little.
func TestLearned(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first []string // arguments of the run that learns
		env   []string // of that
		args  []string // of those after it
		then  []string // the environment of those
		judge judge
	}{
		{name: "skip of short tests", first: []string{"-short", "./skips"}, args: []string{"./skips"}, judge: sameVerdicts},
		{name: "skip by a variable", first: []string{"./skips"}, env: []string{"LEARNED_SKIP=1"}, args: []string{"./skips"}, judge: sameVerdicts},
		{name: "failure by a variable", first: []string{"./needs"}, args: []string{"./needs"}, then: []string{"LEARNED_PREPARE=1"}, judge: sameVerdicts},
		{name: "failure that nobody minds", first: []string{"./lenient"}, args: []string{"./lenient"}, judge: sameVerdicts},
		{name: "process that ends late", first: []string{"./late"}, args: []string{"./late"}, judge: anyVerdicts},
		{name: "process that does nothing again", first: []string{"./once"}, args: []string{"./once"}, judge: anyVerdicts},
		{name: "packages in their order", first: []string{"-p=1", "./order/..."}, args: []string{"-p=1", "./order/..."}, judge: sameVerdicts},
		{name: "packages in the order of arguments", first: []string{"-p=1", "./order/z", "./order/a", "./order/m"}, args: []string{"-p=1", "./order/z", "./order/a", "./order/m"}, judge: sameVerdicts},
		{name: "golden file beside the package", first: []string{"./golden/..."}, args: []string{"./golden/..."}, judge: sameVerdicts},
		{name: "argument that go test knows", first: []string{"./args", "-args", "-x"}, args: []string{"./args", "-args", "-x"}, judge: sameVerdicts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			dir := filepath.Join(tmp, "module")
			fresh := func() string {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if err := os.CopyFS(dir, os.DirFS(fixture(t, "learned"))); err != nil {
					t.Fatal(err)
				}
				return dir
			}
			env := []string{"LEARNED_LOCK=" + filepath.Join(tmp, "lock"), "XDIST_NO_HISTORY=", "XDIST_CACHE=" + filepath.Join(tmp, "cache")}
			check := func(run string, args, env []string) {
				want, e := goTest(t, fresh(), env, args...)
				got, ours := runXdist(t, fresh(), env, append([]string{"--tx", "8*popen"}, args...)...)
				if diffs := tt.judge(want, got); len(diffs) > 0 || (ours.status == 0) != (e.status == 0) || ours.status > 3 {
					t.Errorf("%s: status %d, go test has %d; %q\n%s", run, ours.status, e.status, diffs, tail(ours.stderr))
				}
			}
			if tt.name == "process that ends late" { // nobody knows at first
				runXdist(t, fresh(), env, append([]string{"--tx", "popen"}, tt.first...)...)
			} else {
				check("first", tt.first, append(env, tt.env...))
			}
			check("second", tt.args, append(env, tt.then...))
			check("third", tt.args, append(env, tt.then...))
		})
	}
}

// anyVerdicts is for tests of which only the status is compared.
func anyVerdicts(_, _ *compare.Model) []string { return nil }

// A report or a log of the run in the directory of a package is no golden file that one of its
// failing tests has made.
func TestReportsBesideTests(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "module")
	if err := os.CopyFS(dir, os.DirFS(fixture(t, "beside"))); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(t.Context(), xdist(t), "--tx", "8*popen", "--jsonfile", "events.json", "--events", "all.json", "--junitfile", "junit.xml", "--html", "report.html", "-v", ".")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "XDIST_CACHE="+storeDir(t), "XDIST_NO_HISTORY=1", "BESIDE_HERE="+filepath.Join(t.TempDir(), "here"))
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("%v\n%s", err, tail(string(text)))
	}
	text, err := os.ReadFile(log.Name())
	if err != nil || !strings.Contains(string(text), "passed when run again: TestShy") {
		t.Errorf("the test was not in trouble, so that this shows nothing: %v\n%s", err, tail(string(text)))
	}
}

package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/internal/compare"
	"github.com/xdist-go/xdist/integration/sshd"
)

// noC is a controller that can compile nothing that needs C.
var noC = []string{"CGO_ENABLED=0"}

// goHost is the spec of a host that has Go, with env added to the environment of its sessions, and
// builds for itself.
func goHost(t *testing.T, name string, env ...string) string {
	t.Helper()
	goEnv := goEnvironment(t)
	all := []string{"PATH=" + goEnv["GOBIN_DIR"] + string(os.PathListSeparator) + os.Getenv("PATH")}
	for _, key := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOTOOLCHAIN"} {
		all = append(all, key+"="+goEnv[key])
	}
	return sshd.Start(t, sshd.Options{Name: name, Env: append(all, env...)}).Spec() + "//build=remote"
}

// TestBuildRemote holds gateways whose host builds for itself against go test, over all traps, with
// a controller that cannot build all of them.
func TestBuildRemote(t *testing.T) {
	needC(t)
	want, _ := goTestEverything(t)
	mirrors := t.TempDir()
	got, e := runXdist(t, fixture(t, "fixture"), noC, "--tx", "3*"+goHost(t, "one"), "--mirror-dir", mirrors, "./...")
	there, err := filepath.Glob(filepath.Join(mirrors, "xdist-*"))
	if err != nil || len(there) == 0 {
		t.Fatalf("no mirror in %s: %v", mirrors, err)
	}
	for pkg, text := range got.Builds {
		if strings.Contains(text, mirrors) {
			t.Errorf("%s: the output of its build names files of the host:\n%s", pkg, text)
		}
	}
	same := normal()
	same.Roots = append(there, filepath.Dir(fixture(t, "fixture"))) // the tree holds the modules that it names by replace, too
	for _, d := range compare.Compare(want, got, compare.Split, same) {
		t.Error(d)
	}
	if status := statusOf(want); e.status != status {
		t.Errorf("exit status %d, want %d\n%s", e.status, status, tail(e.stderr))
	}
	if p := got.Packages["example.com/fixture/cgo"]; p == nil || p.Outcome != "pass" {
		t.Errorf("the package that needs cgo: %+v", p)
	}
}

// TestBuildRemoteOnce has two hosts of one platform: one builds and the other one gets the
// binaries, with coverage data and a profile.
func TestBuildRemoteOnce(t *testing.T) {
	needC(t)
	dir := fixture(t, "fixture")
	log := filepath.Join(t.TempDir(), "built")
	// Both hosts are this machine. What tells them apart is where their trees go, which has to be
	// the same path: each sees another directory there.
	mirror := t.TempDir()
	shell := func(name string) string {
		home := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(home, 0o700); err != nil {
			t.Fatal(err)
		}
		script := filepath.Join(home, "sh")
		text := "#!/bin/sh\nexec unshare -m sh -c 'mount --bind " + home + " " + mirror + " || exit; exec sh \"$@\"' sh \"$@\"\n"
		if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(script, "-c", "echo works").CombinedOutput(); string(out) != "works\n" {
			t.Skipf("skipped: no file systems of their own for hosts: %v, %s", err, out)
		}
		return script
	}
	var tx []string
	for _, name := range []string{"one", "two"} {
		goBin := filepath.Join(t.TempDir(), "go")
		real, err := exec.LookPath("go")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goBin, []byte("#!/bin/sh\ncase $1 in test) echo "+name+" >>"+log+";; esac\nexec "+real+" \"$@\"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		goEnv := goEnvironment(t)
		env := []string{"PATH=" + filepath.Dir(goBin) + ":" + os.Getenv("PATH")}
		for _, key := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOTOOLCHAIN"} {
			env = append(env, key+"="+goEnv[key])
		}
		s := sshd.Start(t, sshd.Options{Name: name, Shell: shell(name), Env: env})
		tx = append(tx, "--tx", "2*"+s.Spec()+"//build=remote")
	}
	args := []string{"-coverpkg=./...", "./cgo", "./cover/...", "./names", "./nofiles", "./table"}
	profile := filepath.Join(t.TempDir(), "cover.out")
	want, _ := goTest(t, dir, nil, args...)
	all := slices.Concat(tx, []string{"--mirror-dir", mirror, "--dist", "each", "-coverprofile=" + profile}, args)
	got, e := runXdist(t, dir, noC, all...)
	if e.status != statusOf(want) {
		t.Fatalf("exit status %d\n%s%s", e.status, e.stdout, tail(e.stderr))
	}
	checkEach(t, want, got)
	if text, err := os.ReadFile(log); strings.Count(string(text), "\n") != 1 {
		t.Errorf("hosts that have built: %q, %v", text, err)
	}
	if text, err := os.ReadFile(profile); err != nil || !strings.Contains(string(text), "example.com/fixture/cgo/cgo.go:") {
		t.Errorf("profile: %v\n%.500s", err, text)
	}
}

// checkEach wants the outcomes of go test from each of four gateways.
func checkEach(t *testing.T, want, got *compare.Model) {
	t.Helper()
	of := make(map[string]int)
	for name, p := range got.Packages {
		path, _, _ := strings.Cut(name, " ")
		of[path]++
		for test, o := range outcomes(want.Packages[path]) {
			if g := outcomes(p)[test]; g != o {
				t.Errorf("%s %s: %s, want %s", name, test, g, o)
			}
		}
	}
	for path := range want.Packages {
		if of[path] != 4 {
			t.Errorf("%s was tested %d times, want 4", path, of[path])
		}
	}
}

// TestBuildRemoteCannot has hosts that cannot build, and what is said of that. Everything that is
// not run is counted.
func TestBuildRemoteCannot(t *testing.T) {
	onlyGo := t.TempDir() // no C compiler
	if real, err := exec.LookPath("go"); err != nil {
		t.Fatal(err)
	} else if err := os.Symlink(real, filepath.Join(onlyGo, "go")); err != nil {
		t.Skipf("skipped: %v", err)
	}
	cgoOnly := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":      "module example.com/c\n\ngo 1.24\n",
		"c/c.go":      "package c\n\n// int two() { return 2; }\nimport \"C\"\n\nfunc Two() int { return int(C.two()) }\n",
		"c/c_test.go": "//go:build cgo\n\npackage c\n\nimport \"testing\"\n\nfunc TestTwo(t *testing.T) {}\n",
		"g/g_test.go": "package g\n\nimport \"testing\"\n\nfunc TestG(t *testing.T) {}\n",
	} {
		file := filepath.Join(cgoOnly, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, env, dir, pkg string
		status              int
		want                []string
	}{
		{"no compiler", "PATH=" + onlyGo, cgoOnly, "./...", 5,
			[]string{"build on the host of gateway gw0 (", "build example.com/c/c: needs cgo, and there is no C compiler", "install one there", "2 tests, 2 not run"}},
		{"no compiler for a part", "PATH=" + onlyGo, fixture(t, "fixture"), "./cgo", 3,
			[]string{"the host of gateway gw0 (", "has no C compiler, and leaves out what needs cgo of example.com/fixture/cgo: install one there", "1 test, 1 not run"}},
		{"go too old", "GOTOOLCHAIN=go1.24.99", fixture(t, "fixture"), "./names", 5,
			[]string{"build on the host of gateway gw0 (", "go1.24.99", "install another Go there", "10 tests, 10 not run"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := goHost(t, "box") + "//env:" + tt.env
			_, e := runXdist(t, tt.dir, noC, "--tx", spec, "--mirror-dir", t.TempDir(), tt.pkg)
			if e.status != tt.status {
				t.Errorf("exit status %d, want %d", e.status, tt.status)
			}
			for _, want := range tt.want {
				if !strings.Contains(e.stdout+e.stderr, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if t.Failed() {
				t.Logf("%s%s", e.stdout, e.stderr)
			}
		})
	}
}

package integration

import (
	"encoding/xml"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

// emulated are the platforms of the tests, and the specs of gateways for them. They need Debian's
// qemu-user-static.
var emulated = []struct{ platform, emulator string }{
	{"linux/arm64", "qemu-aarch64-static"},
	{"linux/s390x", "qemu-s390x-static"}, // big-endian
}

// needEmulators skips the test where a platform cannot be emulated, and returns the arguments that
// open a gateway for each.
func needEmulators(t *testing.T) (tx []string) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("skipped: the emulators are set up for linux/amd64")
	}
	for _, e := range emulated {
		if _, err := exec.LookPath(e.emulator); err != nil {
			t.Skipf("skipped: no %s (Debian's qemu-user-static): %v", e.emulator, err)
		}
		goos, goarch, _ := strings.Cut(e.platform, "/")
		tx = append(tx, "--tx", "popen//goos="+goos+"//goarch="+goarch+"//exec="+e.emulator)
	}
	return tx
}

// outcomes are the outcomes of a package's tests, its own as "".
func outcomes(p *compare.Package) map[string]string {
	got := make(map[string]string)
	if p == nil {
		return got
	}
	got[""] = p.Outcome
	for name, test := range p.Tests {
		got[name] = test.Outcome()
	}
	return got
}

// TestPlatforms runs a module on this platform, on another processor and on a big-endian one at
// once, agents included. What differs from go test on this platform is what has to.
func TestPlatforms(t *testing.T) {
	tx := append([]string{"--tx", "2*popen"}, needEmulators(t)...)
	dir := fixture(t, "platforms")
	native, _ := goTest(t, dir, nil, "./...")
	for _, tt := range []struct {
		dist     string
		suffixes map[string][]string // of package names, by platform
	}{
		{"each", map[string][]string{"linux/amd64": {"gw0 linux/amd64", "gw1 linux/amd64"}, "linux/arm64": {"gw2 linux/arm64"}, "linux/s390x": {"gw3 linux/s390x"}}},
		{"load", map[string][]string{"linux/amd64": {"linux/amd64"}, "linux/arm64": {"linux/arm64"}, "linux/s390x": {"linux/s390x"}}},
		{"loadscope", map[string][]string{"linux/amd64": {"linux/amd64"}, "linux/arm64": {"linux/arm64"}, "linux/s390x": {"linux/s390x"}}},
	} {
		t.Run(tt.dist, func(t *testing.T) {
			junit := filepath.Join(t.TempDir(), "junit.xml")
			got, e := runXdist(t, dir, nil, append(tx, "--dist", tt.dist, "--junitxml", junit, "./...")...)
			if e.status != 1 {
				t.Errorf("exit status %d\n%s", e.status, tail(e.stderr))
			}
			for path, p := range native.Packages {
				for platform, suffixes := range tt.suffixes {
					for _, suffix := range suffixes {
						checkPlatform(t, path, platform, outcomes(p), got.Packages[path+" ["+suffix+"]"])
					}
				}
			}
			if rows := platformRow.FindAllString(e.stdout, -1); len(rows) != 1 || !strings.Contains(rows[0], "endian::TestLittleEndian ") {
				t.Errorf("the table of what differs has the rows %q:\n%s", rows, e.stdout)
			}
			checkSuites(t, junit, tt.suffixes)
		})
	}
}

// platformRow is a test that passes on all platforms of a table but the last one, linux/s390x.
var platformRow = regexp.MustCompile(`(?m)^\S+::\S+( +pass)+ +fail$`)

// checkPlatform compares a package on a platform with what go test says of it on this one.
func checkPlatform(t *testing.T, path, platform string, want map[string]string, p *compare.Package) {
	t.Helper()
	got := outcomes(p)
	want = maps.Clone(want)
	switch filepath.Base(path) {
	case "endian":
		want["TestWorker"] = "pass" // not under go test
		want[""] = "pass"
		if platform == "linux/s390x" {
			want["TestLittleEndian"], want[""] = "fail", "fail"
		}
		if p != nil && !strings.Contains(p.Tests["TestPlatform"].Output, "runs on "+platform+"\n") {
			t.Errorf("%s on %s: it says %q", path, platform, p.Tests["TestPlatform"].Output)
		}
	case "crash": // the tests behind the crash run, and the crash has a name
		want["TestExits"], want["TestAfter"], want["TestFails"] = "fail", "pass", "fail"
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s on %s: got %v, want %v", path, platform, got, want)
	}
}

// checkSuites looks for the platform of each suite.
func checkSuites(t *testing.T, file string, suffixes map[string][]string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Suites []struct {
			Name       string `xml:"name,attr"`
			Properties []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"properties>property"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, s := range report.Suites {
		for _, p := range s.Properties {
			if p.Name == "platform" {
				seen[p.Value]++
				if !slices.ContainsFunc(suffixes[p.Value], func(suffix string) bool { return strings.HasSuffix(s.Name, "["+suffix+"]") }) {
					t.Errorf("suite %s says that it is of %s", s.Name, p.Value)
				}
			}
		}
	}
	for platform, of := range suffixes {
		if seen[platform] != 3*len(of) {
			t.Errorf("%d suites of %s, want %d", seen[platform], platform, 3*len(of))
		}
	}
}

// TestPlatformAlone runs another platform only: the names are those of go test, and a timeout under
// the emulator is one.
func TestPlatformAlone(t *testing.T) {
	tx := needEmulators(t)[:2]
	got, e := runXdist(t, fixture(t, "platforms"), nil, append(tx, "./endian", "./files")...)
	if e.status != 0 || len(got.Packages) != 2 || got.Packages["example.com/platforms/endian"] == nil {
		t.Errorf("exit status %d, packages %q\n%s", e.status, slices.Collect(maps.Keys(got.Packages)), tail(e.stderr))
	}
	got, e = runXdist(t, fixture(t, "fixture"), nil, append(tx, "-timeout=5s", "./crash/hangs")...)
	p := got.Packages["example.com/fixture/crash/hangs"]
	if e.status != 1 || p == nil || !strings.Contains(e.stdout, "panic: test timed out after 5s") {
		t.Errorf("exit status %d\n%s%s", e.status, e.stdout, tail(e.stderr))
	}
}

// TestCgoOfOtherPlatforms looks at what cannot be cross-compiled: it does not vanish.
func TestCgoOfOtherPlatforms(t *testing.T) {
	tx := needEmulators(t)[:2]
	_, e := runXdist(t, fixture(t, "fixture"), nil, append(tx, "./cgo", "./both")...)
	if e.status != 3 || !strings.Contains(e.stderr+e.stdout, "needs cgo, which is off when code is cross-compiled") {
		t.Errorf("exit status %d\n%s%s", e.status, e.stdout, e.stderr)
	}
}

func TestToolchainOfAGateway(t *testing.T) {
	_, e := runXdist(t, fixture(t, "platforms"), []string{"GOPROXY=off", "GOMODCACHE=" + t.TempDir(), "GOFLAGS=-modcacherw"},
		"--tx", "popen", "--tx", "popen//go=go1.25.99", "./endian")
	if want := "use toolchain go1.25.99"; e.status != 5 || !strings.Contains(e.stderr, want) {
		t.Errorf("exit status %d, want 5 and %q\n%s", e.status, want, e.stderr)
	}
}

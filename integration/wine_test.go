package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// prngShim gives Go programs the function that wine 8 lacks in bcryptprimitives.dll.
const prngShim = `#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE b, SIZE_T n) { return SystemFunction036(b, (ULONG)n); }
`

const (
	mingw = "x86_64-w64-mingw32-gcc"
	// Wine answers a call of os.RemoveAll with a status for which Go has no way out: it gets one,
	// in test binaries.
	removeCase   = "\tcase STATUS_INVALID_INFO_CLASS,"
	patchedCase  = "\tcase NTStatus(0xC0000002), STATUS_INVALID_INFO_CLASS,"
	removeSource = "src/internal/syscall/windows/at_windows.go"
)

// wine is a Windows of the test's own.
type wine struct {
	loader  string   // runs a Windows program
	env     []string // that the loader wants
	tx      string   // spec of its gateway
	overlay string   // for -overlay
}

// needWine skips the test where there is no wine, and makes a prefix with what Go programs need
// otherwise.
func needWine(t *testing.T) wine {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("skipped: wine is set up for linux/amd64")
	}
	loader, err := exec.LookPath("wine64")
	if err != nil {
		loader = "/usr/lib/wine/wine64" // Debian's place
		if _, err := os.Stat(loader); err != nil {
			t.Skipf("skipped: no wine64 (Debian's wine64): %v", err)
		}
	}
	if _, err := exec.LookPath(mingw); err != nil {
		t.Skipf("skipped: no C compiler for wine's missing function (Debian's gcc-mingw-w64-x86-64): %v", err)
	}
	dir := t.TempDir()
	prefix, home := filepath.Join(dir, "prefix"), filepath.Join(dir, "home")
	env := []string{"WINEPREFIX=" + prefix, "HOME=" + home, "WINEDEBUG=-all", "DISPLAY=", "TMPDIR=" + dir}
	if err := os.Mkdir(home, 0o777); err != nil {
		t.Fatal(err)
	}
	if e := command(t, dir, env, loader, "wineboot", "-i"); e.status != 0 {
		t.Skipf("skipped: wine cannot make its directory: exit status %d: %s", e.status, tail(e.stderr))
	}
	t.Cleanup(func() {
		server := filepath.Join(filepath.Dir(loader), "wineserver")
		kill := exec.Command(server, "-k")
		kill.Env = append(os.Environ(), env...)
		if out, err := kill.CombinedOutput(); err != nil {
			t.Logf("end wineserver: %v\n%s", err, out)
		}
		wait := exec.Command(server, "-w") // else it writes while the directory is removed
		wait.Env = kill.Env
		if out, err := wait.CombinedOutput(); err != nil {
			t.Logf("wait for wineserver: %v\n%s", err, out)
		}
	})
	source := filepath.Join(dir, "shim.c")
	writeFile(t, source, prngShim)
	dll := filepath.Join(prefix, "drive_c", "windows", "system32", "bcryptprimitives.dll")
	if e := command(t, dir, nil, mingw, "-shared", "-o", dll, source, "-ladvapi32"); e.status != 0 {
		t.Fatal(e.stderr)
	}
	fields := []string{"popen//goos=windows//exec=" + loader}
	for _, v := range env {
		fields = append(fields, "env:"+v)
	}
	return wine{loader, env, strings.Join(fields, "//"), overlayForWine(t, dir)}
}

func overlayForWine(t *testing.T, dir string) string {
	t.Helper()
	original := filepath.Join(strings.TrimSpace(command(t, dir, nil, "go", "env", "GOROOT").stdout), filepath.FromSlash(removeSource))
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	patched, overlay := filepath.Join(dir, "at_windows.go"), filepath.Join(dir, "overlay.json")
	text := strings.Replace(string(source), removeCase, patchedCase, 1)
	if text == string(source) {
		t.Skipf("skipped: %s is not as it was in Go 1.26, and wine needs a change in it", original)
	}
	writeFile(t, patched, text)
	data, err := json.Marshal(map[string]map[string]string{"Replace": {original: patched}})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, overlay, string(data))
	return overlay
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestWindowsUnderWine runs a module here, as Windows programs, on another processor and on a
// big-endian one in one run. Agent and tests are Windows programs that find the binaries, the
// sources and a temporary directory.
func TestWindowsUnderWine(t *testing.T) {
	w := needWine(t)
	tx := append([]string{"--tx", "popen", "--tx", w.tx}, needEmulators(t)...)
	dir := fixture(t, "platforms")
	native, _ := goTest(t, dir, nil, "./...")
	got, e := runXdist(t, dir, nil, append(tx, "--dist", "each", "-overlay="+w.overlay, "./...")...)
	if e.status != 1 {
		t.Errorf("exit status %d\n%s", e.status, tail(e.stderr))
	}
	suffixes := map[string]string{"linux/amd64": "gw0 linux/amd64", "windows/amd64": "gw1 windows/amd64", "linux/arm64": "gw2 linux/arm64", "linux/s390x": "gw3 linux/s390x"}
	for path, p := range native.Packages {
		for platform, suffix := range suffixes {
			checkPlatform(t, path, platform, outcomes(p), got.Packages[path+" ["+suffix+"]"])
		}
	}
	if t.Failed() {
		t.Log(e.stdout, tail(e.stderr))
	}
}

// TestPipesUnderWine runs the tests of the named pipes of networks as Windows programs. Gateways
// through them are not shown: they begin with PowerShell, which wine does not have.
func TestPipesUnderWine(t *testing.T) {
	w := needWine(t)
	dir := t.TempDir()
	tests := filepath.Join(dir, "netsock.exe")
	build := []string{"test", "-c", "-overlay=" + w.overlay, "-o", tests, "./internal/netsock"}
	if e := command(t, "..", []string{"GOOS=windows", "CGO_ENABLED=0"}, "go", build...); e.status != 0 {
		t.Fatal(e.stderr)
	}
	if e := command(t, dir, w.env, w.loader, tests, "-test.v", "-test.timeout=1m"); e.status != 0 || !strings.Contains(e.stdout, "--- PASS: TestStrangersOfAPipe") {
		t.Errorf("exit status %d\n%s%s", e.status, e.stdout, tail(e.stderr))
	} else {
		t.Log(e.stdout)
	}
}

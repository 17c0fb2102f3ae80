package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/internal/compare"
	"github.com/xdist-go/xdist/integration/netns"
)

// runLimit is how long one run of either command may take on a loaded machine with cold caches.
const runLimit = 4 * time.Minute

// xdistDir is where the command is built once; TestMain removes it.
var xdistDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "xdist-integration-") })

// xdistBinary builds the command once for all the tests that ask for it.
var xdistBinary = sync.OnceValues(func() (string, error) {
	dir, err := xdistDir()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "bin", "xdist"+exeSuffix())
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/xdist").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ../cmd/xdist: %w\n%s", err, out)
	}
	return binary, nil
})

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

func TestMain(m *testing.M) {
	netns.Main()
	hostileMain()
	gateway.Main(nil)
	if err := nameGoCache(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if dir, err := xdistDir(); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "remove the built command:", err)
		}
	}
	os.Exit(code)
}

// nameGoCache tells all that the tests start where the build cache is. Where a test gives a program
// a home of its own, the go command would compile the standard library there again.
func nameGoCache() error {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("go env GOCACHE: %w", err)
	}
	return os.Setenv("GOCACHE", strings.TrimSpace(string(out)))
}

// xdist is the path of the built command.
func xdist(t *testing.T) string {
	t.Helper()
	binary, err := xdistBinary()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// storeDir is the store that the tests' runs share, so that each binary is linked once.
func storeDir(t *testing.T) string {
	t.Helper()
	dir, err := xdistDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "store")
}

// ended is how a command ended.
type ended struct {
	stdout, stderr string
	status         int
}

// command runs a command in dir with env added to the test's own environment, and fails the test
// when it does not end in time.
func command(t *testing.T, dir string, env []string, name string, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %s did not end within %v\n%s", name, strings.Join(args, " "), runLimit, stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s: %v", name, err)
	}
	return ended{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// goTest runs go test -json and returns what it says. Its own cache of results stays out of it.
func goTest(t *testing.T, dir string, env []string, args ...string) (*compare.Model, ended) {
	t.Helper()
	full := []string{"test", "-json"}
	if !strings.Contains(strings.Join(args, " "), "-count") {
		full = append(full, "-count=1")
	}
	e := command(t, dir, env, "go", append(full, args...)...)
	model, err := compare.Read(strings.NewReader(e.stdout))
	if err != nil {
		t.Fatal(err)
	}
	return model, e
}

// runXdist runs xdist and returns what its --jsonfile says.
func runXdist(t *testing.T, dir string, env []string, args ...string) (*compare.Model, ended) {
	t.Helper()
	jsonfile := filepath.Join(t.TempDir(), "events.json")
	env = append([]string{"XDIST_CACHE=" + storeDir(t), "XDIST_NO_HISTORY=1"}, env...) // no test is planned by what another one ran
	e := command(t, dir, env, xdist(t), append([]string{"--jsonfile", jsonfile}, args...)...)
	f, err := os.Open(jsonfile)
	if err != nil {
		t.Fatalf("%v\nstatus %d\n%s%s", err, e.status, e.stdout, e.stderr)
	}
	defer f.Close()
	model, err := compare.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return model, e
}

// fixture is the absolute path of a module of testdata.
func fixture(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// needC skips the test where there is no C compiler.
func needC(t *testing.T) {
	t.Helper()
	if !hasC(t) {
		t.Skip("skipped: there is no C compiler")
	}
}

// hasC reports whether there is the C compiler that the go command would use.
func hasC(t *testing.T) bool {
	t.Helper()
	_, err := exec.LookPath(strings.TrimSpace(command(t, ".", nil, "go", "env", "CC").stdout))
	return err == nil
}

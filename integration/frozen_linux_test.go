package integration

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdist-go/xdist/integration/internal/compare"
	"github.com/xdist-go/xdist/integration/sshd"
)

var frozenRounds = flag.Uint64("frozen", 1, "how many `rounds` TestFrozenConnection has")

// TestFrozenConnection stops the server's side of all connections at a seeded moment of a run. The
// host takes new ones, so that every test has its verdict.
func TestFrozenConnection(t *testing.T) {
	for seed := range *frozenRounds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			testFrozenConnection(t, rand.New(rand.NewPCG(seed, 0xf4023)))
		})
	}
}

func testFrozenConnection(t *testing.T, r *rand.Rand) {
	s := sshd.Start(t, sshd.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, xdist(t), "--tx", "2*"+s.Spec(), "--dist", "load", "--json", "./...")
	cmd.Dir = manyTests(t)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), "XDIST_CACHE="+storeDir(t))
	var errs, seen bytes.Buffer
	cmd.Stderr = &errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	at, passed, frozen := 1+r.IntN(150), 0, 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		seen.Write(append(lines.Bytes(), '\n'))
		if !strings.Contains(lines.Text(), `"Action":"pass"`) {
			continue
		}
		if passed++; passed == at {
			frozen = freeze(t, s.Pid())
		}
	}
	if err := cmd.Wait(); err != nil || frozen == 0 {
		t.Errorf("%v; %d processes were stopped after %d tests\n%s", err, frozen, at, tail(errs.String()))
	}
	m, err := compare.Read(&seen)
	if err != nil {
		t.Fatal(err)
	}
	verdicts := 0
	for name, p := range m.Packages {
		for test, v := range p.Tests {
			if verdicts++; len(v.Outcomes) != 1 || v.Outcomes[0] != "pass" {
				t.Errorf("%s::%s has verdicts %v, want one pass", name, test, v.Outcomes)
			}
		}
	}
	if verdicts != 300 || !strings.Contains(errs.String(), "warning: gateway gw") {
		t.Errorf("%d verdicts, want 300, after the loss of a gateway\n%s", verdicts, tail(errs.String()))
	}
}

// manyTests is a module with 300 tests in three packages, which take about 15 s in all.
func manyTests(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"go.mod": "module example.com/many\n\ngo 1.24\n"}
	for _, pkg := range []string{"a", "b", "c"} {
		var b strings.Builder
		fmt.Fprintf(&b, "package %s\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n", pkg)
		for i := range 100 {
			fmt.Fprintf(&b, "\nfunc Test%d(t *testing.T) { time.Sleep(50 * time.Millisecond) }\n", i)
		}
		files[pkg+"/many_test.go"] = b.String()
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// freeze stops the processes of sshd below the one that listens, until the end of the test, and
// returns how many there were.
func freeze(t *testing.T, parent int) (stopped int) {
	t.Helper()
	for pid := range processes(t) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended meanwhile
		}
		name, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) || !strings.Contains(name, "(sshd") {
			continue
		}
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { unix.Kill(pid, unix.SIGCONT) }) // it may have ended
		stopped += 1 + freeze(t, pid)
	}
	return stopped
}

package integration

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// floodLimit is what the memory of a controller stays below, whatever its agents say.
const floodLimit = 300 << 20

// floodRuns are the agents of a run, all of which lie, and how many of them are replaced.
var floodRuns = []struct {
	name     string
	agents   int
	restarts string // --max-worker-restart; "" is the default
}{
	{"two", 2, "0"},
	{"replaced", 2, ""},
	{"eight", 8, "8"},
}

var floodsFull = flag.Bool("floods.full", false, "TestFloods has each flood from few agents and from many, and not only from one number of them")

// floodEnds are the ways in which a run may end that is flooded: exit statuses, and what says why.
// Which one it is may hang on how quick the agents are.
type floodEnds map[int]*regexp.Regexp

// floodsOf are the floods with what the controller answers to them.
var floodsOf = []struct {
	flood   string
	run     string // the one of floodRuns that make test has
	endless bool   // the run is interrupted when it has lasted for a while
	ends    floodEnds
}{
	{"profile", "two", false, refusedFor(`read cover profile: it has more than \d+ blocks of one file`)},
	{"profiles", "replaced", false, profilesTooLarge},
	{"files", "eight", false, profilesTooLarge},
	{"counts", "two", false, floodEnds{
		0: regexp.MustCompile(`-coverprofile once for each of \d+ processes: they were too large to be kept apart|` + nodeProfilesTooLarge),
		5: refusedFor(nodeProfilesTooLarge)[5],
	}},
	{"subtests", "two", false, refusedFor(`its tests are too many, or their names too long: (they take more than 16 MiB|more than 12 MiB of them have to be held)`)},
	{"names", "eight", false, refusedFor(`its tests are too many, or their names too long: (they take more than 16 MiB|more than 12 MiB of them have to be held|it has \d+ MiB of subtests that have begun and not ended)`)},
	{"strangers", "two", false, refusedFor(`its tests are too many, or their names too long: it has \d+ MiB of tests that its package does not have`)},
	{"untested", "two", true, untilInterrupted},
	{"line", "two", true, untilInterrupted},
	{"chatter", "eight", true, untilInterrupted},
}

// refusedFor is the end of a run all of whose agents were ended for a reason.
func refusedFor(reason string) floodEnds {
	return floodEnds{5: regexp.MustCompile(`xdist: no gateway is left to run the tests[^\n]*: the last one, gw\d+, ended: refuse what its agent reports: ` + reason)}
}

const nodeProfilesTooLarge = `its cover profiles take more than 32 MiB beyond what others have said`

var (
	profilesTooLarge = floodEnds{5: regexp.MustCompile(`the coverage of example\.com/flood is not known: its profiles had no room in the 64 MiB|` + refusedFor(nodeProfilesTooLarge)[5].String())}
	// What is shown as it comes has no end but the user's.
	untilInterrupted = floodEnds{
		130: regexp.MustCompile(`INTERRUPTED the run was interrupted`),
		5:   refusedFor(`more than 1024 MiB of output came that cannot be shown before its unit has ended`)[5],
	}
)

// TestFloods has agents report without end to a real controller. Its memory stays in bounds. What
// is kept has a budget, for each unit and for all, which ends the agents or leaves a profile out,
// and the reason is told. Output that is shown as it comes has none, as under go test; the first
// interrupt ends it.
func TestFloods(t *testing.T) {
	dir := floodModule(t)
	for _, tt := range floodsOf {
		for _, run := range floodRuns {
			if !*floodsFull && run.name != tt.run || tt.endless && run.name == "replaced" { // nobody is ended, and so replaced
				continue
			}
			t.Run(tt.flood+"/"+run.name, func(t *testing.T) {
				started := time.Now()
				e, peak := runFlood(t, dir, tt.flood, run.agents, run.restarts, tt.endless)
				t.Logf("peak of %d MiB in %v, status %d", peak>>20, time.Since(started).Round(100*time.Millisecond), e.status)
				if peak >= floodLimit {
					t.Errorf("the controller took %d MiB", peak>>20)
				}
				tt.ends.check(t, e)
			})
		}
	}
}

// check wants one of the ends.
func (f floodEnds) check(t *testing.T, e ended) {
	t.Helper()
	reason := f[e.status]
	if reason == nil {
		t.Errorf("status %d, want one of %v", e.status, slices.Sorted(maps.Keys(f)))
	} else if !reason.MatchString(e.stderr + e.stdout) {
		t.Errorf("status %d, and nothing says %s", e.status, reason)
	}
	if t.Failed() {
		t.Logf("%s\n%s", tail(e.stderr), e.stdout[:min(len(e.stdout), 4000)])
	}
}

// floodModule is a module whose tests nobody runs.
func floodModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	text.WriteString("package flood\n\nimport \"testing\"\n\n")
	for i := range floodTests {
		fmt.Fprintf(&text, "func %s(t *testing.T) {}\n", floodTest(i))
	}
	for name, content := range map[string]string{"go.mod": "module example.com/flood\n\ngo 1.24\n", "flood_test.go": text.String(), "flood.go": "package flood\n\nfunc F() int { return 1 }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runFlood runs xdist with hostile agents and returns the most memory that it had. An endless flood
// is interrupted when it has lasted for a while.
func runFlood(t *testing.T, dir, flood string, agents int, restarts string, endless bool) (e ended, peak int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--tx", fmt.Sprintf("%d*cmd=%s hostile-agent", agents, self)}
	if restarts != "" {
		args = append(args, "--max-worker-restart", restarts)
	}
	args = append(args, "-covermode=count", "-coverprofile="+filepath.Join(t.TempDir(), "cover.out"), "./...")
	cmd := exec.CommandContext(t.Context(), xdist(t), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), hostileEnv+"="+flood, "XDIST_CACHE="+storeDir(t), "XDIST_NO_HISTORY=1")
	var stderr bytes.Buffer
	stdout := new(endOf)
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	var interrupt <-chan time.Time
	if endless {
		interrupt = time.After(8 * time.Second)
	}
	limit := time.After(runLimit)
	for {
		select {
		case <-waited:
			return ended{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}, peak
		case <-look.C:
			peak = max(peak, memoryPeak(cmd.Process.Pid))
		case <-interrupt:
			cmd.Process.Signal(syscall.SIGINT)
		case <-limit:
			cmd.Process.Kill()
			<-waited
			t.Fatalf("the run did not end within %v\n%s", runLimit, stderr.String())
		}
	}
}

// memoryPeak is the most memory that a process had so far, in bytes, 0 when it has ended.
func memoryPeak(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")))
			return kilobytes << 10
		}
	}
	return 0
}

// endOf keeps the end of what is written.
type endOf struct{ bytes.Buffer }

func (w *endOf) Write(p []byte) (int, error) {
	if w.Len() > 1<<20 {
		w.Reset()
	}
	w.Buffer.Write(p[max(0, len(p)-1<<16):])
	return len(p), nil
}

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// listeningTest runs until it may end.
const listeningTest = `package listening

import (
	"os"
	"testing"
	"time"
)

func TestWaits(t *testing.T) {
	if _, err := os.CreateTemp(os.Getenv("LISTENING"), "begun"); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(os.Getenv("LISTENING") + "/go"); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
`

// TestNobodyListens looks at the processes of a run with popen while its tests run: the controller,
// its agents and the test binaries. None of them has a socket that another user could connect to.
func TestNobodyListens(t *testing.T) {
	dir, marks := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"go.mod":      "module example.com/listening\n\ngo 1.24\n",
		"a/a_test.go": listeningTest, "b/b_test.go": listeningTest,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(xdist(t), "--tx", "2*popen", "--no-history", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LISTENING="+marks, "XDIST_CACHE="+storeDir(t))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.WriteFile(filepath.Join(marks, "go"), nil, 0o600); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("xdist: %v", err)
		}
	}()
	eventually(t, "both tests run", time.Minute, func() bool {
		names, err := filepath.Glob(marks + "/begun*")
		return err == nil && len(names) == 2
	})
	pids := familyOf(t, cmd.Process.Pid)
	if len(pids) < 5 {
		t.Errorf("%d processes, want the controller, two agents and two tests at least", len(pids))
	}
	listening := listeningSockets(t)
	for _, pid := range pids {
		argv, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty for one that has ended
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))   // the pattern is right
		for _, fd := range fds {
			link, _ := os.Readlink(fd) // empty for one that was closed
			if where, ok := listening[link]; ok {
				t.Errorf("process %d %q listens: %s", pid, argv, where)
			}
		}
	}
}

// familyOf are a process and all that have come from it.
func familyOf(t *testing.T, root int) []int {
	t.Helper()
	parents := make(map[int]int)
	for pid := range processes(t) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		parents[pid], _ = strconv.Atoi(strings.Fields(rest)[1])
	}
	family := []int{root}
	for i := 0; i < len(family); i++ {
		for pid, parent := range parents {
			if parent == family[i] {
				family = append(family, pid)
			}
		}
	}
	return family
}

// listeningSockets are the lines of /proc/net about sockets that take connections, by the names
// that descriptors have for them.
func listeningSockets(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, table := range []struct {
		file         string
		state, inode int // columns
		listens      string
	}{
		{"tcp", 3, 9, "0A"}, {"tcp6", 3, 9, "0A"}, {"udp", 3, 9, "07"}, {"udp6", 3, 9, "07"}, {"unix", 3, 6, "00010000"},
	} {
		text, err := os.ReadFile("/proc/net/" + table.file)
		if err != nil {
			t.Logf("%s is not looked at: %v", table.file, err)
			continue
		}
		for _, line := range strings.Split(string(text), "\n")[1:] {
			fields := strings.Fields(line)
			if len(fields) > table.inode && fields[table.state] == table.listens {
				found["socket:["+fields[table.inode]+"]"] = table.file + " " + line
			}
		}
	}
	return found
}

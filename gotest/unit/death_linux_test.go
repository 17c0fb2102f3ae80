package unit

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestParentKilled shows that a test process does not survive the process that runs it.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	u := fixture(t, "moody", "TestHangTellingPid")
	text, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+string(text))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := ""
	for lines := bufio.NewScanner(stdout); pid == "" && lines.Scan(); {
		pid, _ = strings.CutPrefix(lines.Text(), "child ")
		if pid == lines.Text() {
			pid = ""
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // says that it was killed
	awaitGone(t, pid)
}

//go:build unix

package procgroup

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestGroup: what a process has started ends with its group. All hold a pipe open, whose end tells.
func TestGroup(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		attr   *syscall.SysProcAttr
		end    func(Group, *exec.Cmd)
	}{
		"kill":                    {"sleep 100 & echo started; wait", Own(), func(g Group, cmd *exec.Cmd) { g.Kill(); cmd.Wait() }},
		"kill of a session":       {"sleep 100 & echo started; wait", Session(), func(g Group, cmd *exec.Cmd) { g.Kill(); cmd.Wait() }},
		"interrupt":               {"(trap - INT; exec sleep 100) & echo started; wait", Own(), func(g Group, cmd *exec.Cmd) { g.Interrupt(); cmd.Wait(); g.Close() }},
		"close behind the leader": {"sleep 100 & echo started", Own(), func(g Group, cmd *exec.Cmd) { cmd.Wait(); g.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd := exec.Command("sh", "-c", tt.script)
			cmd.Stdout, cmd.SysProcAttr = w, tt.attr
			err = cmd.Start()
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			g, err := Adopt(cmd.Process)
			if err != nil {
				t.Fatal(err)
			}
			out := bufio.NewReader(r)
			if _, err := out.ReadString('\n'); err != nil {
				t.Error(err)
			}
			tt.end(g, cmd)
			if _, err := io.ReadAll(out); err != nil { // comes back when the last has ended
				t.Error(err)
			}
		})
	}
}

//go:build unix

package integration

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/hosts"
	"github.com/xdist-go/xdist/scheduler/wire"
	"github.com/xdist-go/xdist/scheduler/worker"
)

// silentEnv has a hostile agent run tests as any other, and neither bring files back nor say why.
// It names a file that the agent makes when it is asked to.
const silentEnv = "XDIST_TEST_SILENT"

// silentHandlers are those of such an agent, or nil.
func silentHandlers() gateway.Handlers {
	told := os.Getenv(silentEnv)
	if told == "" {
		return nil
	}
	return gateway.Handlers{
		wire.HostHandler:   hosts.DescribeHost,
		rsync.Handler:      rsync.Receive,
		rsync.BlobHandler:  rsync.KeepBlobs,
		wire.WorkerHandler: worker.Work,
		rsync.FetchHandler: func(ctx context.Context, _ *gateway.Channel, _ gateway.Item) error {
			if err := os.WriteFile(told, nil, 0o600); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		},
	}
}

// TestInterruptWhileFilesComeBack has a host answer beats, and not the question for its files. The
// first interrupt ends the run, which says what it has not waited for. Profiles come back in the
// same way.
func TestInterruptWhileFilesComeBack(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{{"--pull", "*.golden", "./..."}, {"-cpuprofile", "cpu.out", "."}} {
		t.Run(flags[0], func(t *testing.T) {
			dir, told := writeModule(t), filepath.Join(t.TempDir(), "told")
			args := append([]string{"--tx", "cmd=" + self + " hostile-agent", "--mirror-dir", t.TempDir()}, flags...)
			cmd := exec.CommandContext(t.Context(), xdist(t), args...)
			cmd.Dir, cmd.WaitDelay = dir, 10*time.Second
			cmd.Env = append(os.Environ(), silentEnv+"="+told, "XDIST_CACHE="+storeDir(t), "XDIST_NO_HISTORY=1")
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			waited := make(chan struct{})
			go func() {
				defer close(waited)
				cmd.Wait()
			}()
			limit := time.After(runLimit)
			look := time.NewTicker(10 * time.Millisecond)
			defer look.Stop()
			var interrupted time.Time
			for ended := false; !ended; {
				select {
				case <-waited:
					ended = true
				case <-look.C:
					if _, err := os.Stat(told); err == nil && interrupted.IsZero() {
						interrupted = time.Now()
						cmd.Process.Signal(syscall.SIGINT)
						limit = time.After(20 * time.Second)
					}
				case <-limit:
					cmd.Process.Kill()
					<-waited
					t.Fatalf("the run did not end, interrupted: %v\n%s", !interrupted.IsZero(), said.String())
				}
			}
			t.Logf("ended %v after the interrupt", time.Since(interrupted).Round(time.Millisecond))
			if status := cmd.ProcessState.ExitCode(); interrupted.IsZero() || status != 130 || !strings.Contains(said.String(), "bring files back: interrupted") {
				t.Errorf("status %d, want 130 and the reason\n%s", status, said.String())
			}
		})
	}
}

package store

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// helperEnv makes the test binary behave as another process: its value is what to do, its arguments
// are for that.
const helperEnv = "XDIST_STORE_HELPER"

func TestMain(m *testing.M) {
	if what := os.Getenv(helperEnv); what != "" {
		if err := help(what, os.Args[1:]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// helper returns a command that runs this binary as another process.
func helper(t *testing.T, what string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), helperEnv+"="+what)
	cmd.Stderr = os.Stderr
	return cmd
}

func help(what string, args []string) error {
	ctx := context.Background()
	switch what {
	case "hold": // a run with a binary, until the end of the input
		s, err := Open(args[0], -1, nil)
		if err != nil {
			return err
		}
		r, err := s.Begin()
		if err != nil {
			return err
		}
		d, err := ParseDigest(args[1])
		if err != nil {
			return err
		}
		path, err := r.Binary(ctx, d, "held.test")
		fmt.Println(path)
		io.Copy(io.Discard, os.Stdin)
		return err
	case "storm":
		return storm(ctx, args[0], 100)
	case "limited":
		return limited(args[0])
	case "unprivileged":
		return unprivileged(args[0])
	}
	return fmt.Errorf("BUG: no helper %q", what)
}

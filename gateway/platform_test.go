package gateway_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// emulator runs programs for another platform than this one.
const emulator = "qemu-aarch64-static"

// overPlatforms runs a test over each transport, and in an agent for another platform.
func overPlatforms(t *testing.T, test func(*testing.T, transport)) {
	overTransports(t, test)
	t.Run("arm64", func(t *testing.T) {
		test(t, transport{name: "arm64", cfg: emulated, spec: func(t *testing.T, _ *gateway.Group) string {
			if testing.Short() {
				t.Skip("skipped: -short: compiling for another platform takes its time")
			}
			if runtime.GOOS != "linux" || runtime.GOARCH == "arm64" {
				t.Skipf("skipped: no emulator runs linux/arm64 on %s/%s", runtime.GOOS, runtime.GOARCH)
			}
			if _, err := exec.LookPath(emulator); err != nil {
				t.Skipf("skipped: no %s (Debian's qemu-user-static): %v", emulator, err)
			}
			return "popen//goarch=arm64//exec=" + emulator
		}})
	})
}

// emulated is config with agents for linux/arm64.
func emulated() gateway.Config {
	cfg := config()
	cfg.Agent = func(ctx context.Context, goos, goarch string) (gateway.Agent, error) {
		if goos != "linux" || goarch != "arm64" {
			return gateway.Agent{}, errors.New("these tests have agents for linux/arm64 alone")
		}
		return arm64Agent()
	}
	return cfg
}

// arm64Agent is this test binary for linux/arm64.
var arm64Agent = sync.OnceValues(func() (gateway.Agent, error) { return compileAgent("GOARCH=arm64") })

// unraced is config with agents that do not look for races. Those take half as long, and a tenth of
// the memory at their start.
func unraced() gateway.Config {
	cfg := config()
	if !raceEnabled {
		return cfg
	}
	agent := must(unracedAgent())
	cfg.Command = append([]string{agent.Path}, agent.Args...)
	cfg.Agent = func(context.Context, string, string) (gateway.Agent, error) { return agent, nil }
	return cfg
}

// unracedAgent is this test binary without the race detector.
var unracedAgent = sync.OnceValues(func() (gateway.Agent, error) { return compileAgent("GOARCH=" + runtime.GOARCH) })

// compileAgent compiles this test binary, with one more variable in the environment.
func compileAgent(arch string) (gateway.Agent, error) {
	name := filepath.Join(cacheHome, arch+".test")
	build := exec.Command("go", "test", "-c", "-o", name, ".")
	build.Env = append(os.Environ(), arch, "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return gateway.Agent{}, fmt.Errorf("%w: %s", err, out)
	}
	data, err := os.ReadFile(name)
	sum := sha256.Sum256(data)
	return gateway.Agent{Path: name, Digest: hex.EncodeToString(sum[:]), Args: []string{agentRole}}, err
}

package gateway_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// Open and Connect take a Config of their own, as for hosts of other platforms, and say without one
// what to write.
func TestOpenWithConfig(t *testing.T) {
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	foreign := "popen//goarch=" + other + "//exec=no-such-emulator"
	_, err := gateway.Open(t.Context(), foreign)
	if err == nil || !strings.Contains(err.Error(), "gateway.Config{Agent: agents.Self()}") {
		t.Errorf("without a Config: %v", err)
	}
	cfg := config()
	asked := errors.New("somebody asked for it")
	cfg.Agent = func(context.Context, string, string) (gateway.Agent, error) { return gateway.Agent{}, asked }
	if _, err := gateway.Open(t.Context(), foreign, cfg); !errors.Is(err, asked) {
		t.Errorf("got %v, want %v", err, asked)
	}

	// Their ids do not meet: each has a group of its own.
	for range 2 {
		gw, err := gateway.Open(t.Context(), "popen//id=own", cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			gw.Exit()
			<-gw.Done()
		}()
		calls(t, gw)
	}
	if _, err := gateway.Open(t.Context(), "popen", cfg, cfg); err == nil || !strings.Contains(err.Error(), "more than one Config") {
		t.Errorf("with two Configs: %v", err)
	}
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	if _, err := gateway.Connect(t.Context(), "none", cfg); !errors.Is(err, gateway.ErrNoNetwork) {
		t.Errorf("no network: %v", err)
	}
	if _, err := gateway.Connect(t.Context(), "none", cfg, cfg); err == nil || !strings.Contains(err.Error(), "more than one Config") {
		t.Errorf("with two Configs: %v", err)
	}
}

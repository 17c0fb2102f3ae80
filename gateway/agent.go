package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
)

// agent returns the executable for a platform. The time that it takes does not count against
// OpenTimeout.
func (cfg Config) agent(ctx context.Context, goos, goarch string) (Agent, error) {
	defer holdClock(ctx)()
	if cfg.Agent != nil {
		a, err := cfg.Agent(ctx, goos, goarch)
		if err != nil {
			return a, fmt.Errorf("get agent for %s/%s: %w", goos, goarch, err)
		}
		return a, nil
	}
	if goos != runtime.GOOS || goarch != runtime.GOARCH {
		return Agent{}, fmt.Errorf("get agent for %s/%s: this program has only its own, for %s/%s: "+
			"give NewGroup, Open or Connect a gateway.Config{Agent: agents.Self()}", goos, goarch, runtime.GOOS, runtime.GOARCH)
	}
	return cfg.ownAgent()
}

// ownAgent is what Command starts.
func (cfg Config) ownAgent() (Agent, error) {
	command, err := cfg.command()
	if err != nil {
		return Agent{}, err
	}
	digest, err := digestOf(command[0])
	if err != nil {
		return Agent{}, fmt.Errorf("get agent: %w", err)
	}
	return Agent{Path: command[0], Digest: digest, Args: command[1:]}, nil
}

func digestOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

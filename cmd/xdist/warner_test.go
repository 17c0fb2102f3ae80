package main

import (
	"log/slog"
	"strings"
	"testing"
)

func TestWarner(t *testing.T) {
	var out strings.Builder
	logger := slog.New(newWarner(&out))
	for range 2 {
		logger.Warn("the key is new", "file", "known_hosts")
		logger.Info("a gateway is up")
		logger.With("id", "gw0").Warn("a line is passed over")
	}
	if want := "xdist: warning: the key is new: file known_hosts\nxdist: warning: a line is passed over\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

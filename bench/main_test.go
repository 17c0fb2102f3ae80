package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/xdist-go/xdist/gateway"
)

// agentVariable makes this test binary an agent when it is set.
const agentVariable = "BENCH_TEST_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(agentVariable) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := gateway.ServeStdio(context.Background(), handlers()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestChoose(t *testing.T) {
	for _, tt := range []struct {
		only string
		want []string
		fail bool
	}{
		{only: "", want: partNames()},
		{only: "memory", want: []string{"memory"}},
		{only: "gateway,suites", want: []string{"gateway", "suites"}},
		{only: "suites,speed", fail: true},
	} {
		chosen, err := choose(tt.only)
		if (err != nil) != tt.fail {
			t.Errorf("choose(%q): %v, want an error: %v", tt.only, err, tt.fail)
		}
		var got []string
		for _, p := range chosen {
			got = append(got, p.name)
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("choose(%q) = %v, want %v", tt.only, got, tt.want)
		}
	}
}

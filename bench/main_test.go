package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
		{only: "gateways,suites", want: []string{"gateways", "suites"}},
		{only: "gateway", want: []string{"gateways"}},
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

// make bench takes the flags that the README shows.
func TestMakeBench(t *testing.T) {
	if version, err := exec.Command("make", "--version").Output(); !strings.HasPrefix(string(version), "GNU Make") {
		t.Skipf("skipped: there is no GNU make: %v", err)
	}
	for want, args := range map[string][]string{
		"sh bench/run.sh":                         nil,
		"sh bench/run.sh -only gateways -runs 3":  {"ONLY=gateways", "RUNS=3"},
		"sh bench/run.sh -only plan,memory -v":    {"ONLY=plan,memory", "ARGS=-v"},
		"sh bench/run.sh -runs 9 -xdist /x/xdist": {"RUNS=9", "ARGS=-xdist /x/xdist"},
	} {
		cmd := exec.Command("make", append([]string{"-n", "-s", "-C", "..", "bench", "ONLY=", "RUNS=", "ARGS="}, args...)...)
		out, err := cmd.CombinedOutput()
		if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != want {
			t.Errorf("make bench %q does %q, %v, want %q", args, got, err, want)
		}
	}
}

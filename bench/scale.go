package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

const (
	controllerLimit = 20e-6 // seconds of processor time for a test
	systemLimit     = 1 << 30
)

// scale measures what the controller and the planning cost when there is very much of both, by the
// benchmarks of their packages.
func (b *bench) scale(ctx context.Context) (*table, error) {
	runs := b.count(3)
	t := &table{
		title: fmt.Sprintf("scale: cost of a test (medians of %d runs)", runs),
		head:  []string{"what", "size", "cost", "compared", "limit", ""},
	}
	b.progress("scale: the controller")
	measured, err := b.ownBenchmarks(ctx, runs, "./scheduler", "Controller/nodes=1000/tests=200000$", "1x")
	if err != nil {
		return nil, err
	}
	if err := fillController(t, measured); err != nil {
		return nil, err
	}
	b.progress("scale: planning")
	if measured, err = b.ownBenchmarks(ctx, runs, "./scheduler/policy", "Plan", "1x"); err != nil {
		return nil, err
	}
	return t, fillPlanning(t, measured)
}

// ownTest makes a command of go test on one of this project's packages.
func (b *bench) ownTest(ctx context.Context, args ...string) (timing, error) {
	root, err := os.Getwd() // run.sh has gone there
	if err != nil {
		return timing{}, fmt.Errorf("find the sources: %w", err)
	}
	return b.run(ctx, root, append([]string{"go", "test", "-count=1", "-timeout=30m"}, args...)...)
}

// ownBenchmarks runs benchmarks of this project in so many processes, one after the other, and
// returns what they measured, by name and unit.
func (b *bench) ownBenchmarks(ctx context.Context, runs int, pkg, pattern, benchtime string) (map[string]map[string]sample, error) {
	all := make(map[string]map[string]sample)
	for range runs {
		run, err := b.ownTest(ctx, "-run", "^$", "-bench", pattern, "-benchtime", benchtime, pkg)
		if err != nil {
			return nil, err
		}
		out, err := os.ReadFile(run.log)
		if err == nil && run.status != 0 {
			err = fmt.Errorf("exit status %d:\n%s", run.status, lastLines(run.log, 15))
		}
		if err != nil {
			return nil, fmt.Errorf("run the benchmarks of %s: %w", pkg, err)
		}
		addBenchmarks(all, string(out))
	}
	return all, nil
}

// addBenchmarks adds the figures of lines such as "BenchmarkPlan/known/1000-2  1  5000 ns/op  0.5
// µs/test".
func addBenchmarks(all map[string]map[string]sample, out string) {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if at := strings.LastIndexByte(name, '-'); at >= 0 {
			if _, err := strconv.Atoi(name[at+1:]); err == nil { // of GOMAXPROCS
				name = name[:at]
			}
		}
		if all[name] == nil {
			all[name] = make(map[string]sample)
		}
		for i := 2; i < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				all[name][fields[i+1]] = append(all[name][fields[i+1]], v)
			}
		}
	}
}

// fillController takes the figures of BenchmarkController.
func fillController(t *table, measured map[string]map[string]sample) error {
	const name, size = "Controller/nodes=1000/tests=200000", "1,000 nodes, 200,000 tests"
	m := measured[name]
	controller, nodes, memory := m["controller-ns/test"], m["nodes-ns/test"], m["MiB-from-system"]
	if len(controller) == 0 || len(nodes) == 0 || len(memory) == 0 {
		return fmt.Errorf("read what Benchmark%s measured: there is only %v", name, m)
	}
	cost := scaled(controller, 1e-9)
	t.add("controller, CPU", size, inMicroseconds.summary(cost), "without the nodes' "+inMicroseconds.summary(scaled(nodes, 1e-9)),
		"≤ "+inMicroseconds.show(controllerLimit)+" µs", t.judge(atMost(controllerLimit), cost.median()))
	bytes := scaled(memory, 1<<20)
	t.add("controller, memory", size, inMebibytes.summary(bytes), "",
		"≤ "+inMebibytes.show(systemLimit)+" MiB", t.judge(atMost(systemLimit), bytes.median()))
	return nil
}

// scaled multiplies each figure.
func scaled(s sample, factor float64) sample {
	out := make(sample, len(s))
	for i, v := range s {
		out[i] = v * factor
	}
	return out
}

// fillPlanning takes the figures of BenchmarkPlan. Planning n tests may cost in proportion to n log
// n, so that the cost of one may grow as log n does.
func fillPlanning(t *table, measured map[string]map[string]sample) error {
	for _, how := range []string{"known", "unknown", "worksteal"} {
		var least float64
		for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
			name := fmt.Sprintf("Plan/%s/%d", how, n)
			s := scaled(measured[name]["µs/test"], 1e-6)
			if len(s) == 0 {
				return fmt.Errorf("read what Benchmark%s measured: there is only %v", name, measured[name])
			}
			row := []string{"planning, " + how, fmt.Sprintf("%d tests", n), inMicroseconds.summary(s)}
			if n == 1_000 {
				least = s.median()
				t.add(row...)
				continue
			}
			grown := math.Log(float64(n)) / math.Log(1_000)
			ratio := s.median() / (least * grown)
			l := atMost(1)
			t.add(append(row, fmt.Sprintf("%.2f of 1000's × %.2f", ratio, grown), l.String(), t.judge(l, ratio))...)
		}
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// xmod has a package that fails where there is no network.
var xmod = module{name: "x/mod", version: "golang.org/x/mod@v0.30.0"}

// redSuite is a suite with a failing test. The limits are parts of go test's time, as medians.
type redSuite struct {
	name          string
	dir           func(context.Context, *bench) (string, error)
	first, second float64
	args          []string
}

func redSuites() []redSuite {
	whole := []string{"-count=1", "./..."}
	return []redSuite{
		{"a failing test of 5 s beside 20 of 0.25 s", slowFailure, 1.1, 0.6, whole},
		{"x/mod", func(ctx context.Context, b *bench) (string, error) { return b.fetch(ctx, xmod) }, 1.1, 1.0, whole},
		{"serf and a failing test", failingSerf, 1.1, 1.0, whole},
	}
}

// red compares runs that fail: a first one, and one that knows the suite.
func (b *bench) red(ctx context.Context) (*table, error) {
	runs := b.count(3)
	t := &table{
		title: fmt.Sprintf("red: runs with a failing test next to go test -count=1 (%d runs each)", runs),
		head:  []string{"suite", "go test", "xdist", "ratio", "limit", ""},
	}
	for _, s := range redSuites() {
		dir, err := s.dir(ctx, b)
		if err != nil {
			return t, err
		}
		b.progress("%s: warming go's caches", s.name)
		if _, err := b.run(ctx, dir, slices.Concat([]string{"go", "test", "-run", "^$"}, s.args)...); err != nil {
			return t, err
		}
		if err := b.redSuite(ctx, t, s, dir, runs); err != nil {
			return t, err
		}
	}
	return t, nil
}

// redSuite adds the rows of one suite. go test runs beside each pair of runs.
func (b *bench) redSuite(ctx context.Context, t *table, s redSuite, dir string, runs int) error {
	for _, gateways := range []int{2, 4, 16} {
		var peer, first, second []timing
		for i := range runs {
			b.progress("%s, %d gateways: run %d of %d", s.name, gateways, i+1, runs)
			p, err := b.run(ctx, dir, slices.Concat([]string{"go", "test", "-json"}, s.args)...)
			if err != nil {
				return err
			}
			one, two, err := b.redPair(ctx, dir, gateways, s.args)
			if err != nil {
				return err
			}
			if p.status == 0 || one.status != p.status || two.status != p.status {
				t.miss("%s, %d gateways: go test ended with status %d, xdist with %d and %d", s.name, gateways, p.status, one.status, two.status)
			}
			peer, first, second = append(peer, p), append(first, one), append(second, two)
		}
		t.compare(fmt.Sprintf("%s, %d gateways, first run", s.name, gateways), inSeconds, walls(peer), walls(first), atMost(s.first))
		t.compare(fmt.Sprintf("%s, %d gateways, second run", s.name, gateways), inSeconds, walls(peer), walls(second), atMost(s.second))
	}
	return nil
}

// redPair runs xdist with a new store, and again with what is in it then.
func (b *bench) redPair(ctx context.Context, dir string, gateways int, args []string) (first, second timing, err error) {
	store, remove, err := b.emptyStore()
	if err != nil {
		return timing{}, timing{}, err
	}
	defer remove()
	argv := slices.Concat([]string{"env", "XDIST_CACHE=" + store, b.xdist, "--tx", fmt.Sprintf("%d*popen", gateways), "--json"}, args)
	if first, err = b.run(ctx, dir, argv...); err != nil {
		return timing{}, timing{}, err
	}
	second, err = b.run(ctx, dir, argv...)
	return first, second, err
}

// slowFailure writes a module in which one test takes as long as all others together, and fails.
func slowFailure(_ context.Context, b *bench) (string, error) {
	var text strings.Builder
	text.WriteString("package slow\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\n")
	for i := range 20 {
		fmt.Fprintf(&text, "func Test%02d(t *testing.T) { time.Sleep(250 * time.Millisecond) }\n", i)
		if i == 9 {
			text.WriteString("func TestFails(t *testing.T) { time.Sleep(5 * time.Second); t.Error(\"it fails\") }\n")
		}
	}
	dir := filepath.Join(b.work, "slow-failure")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a module: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/slow\n\ngo 1.26\n"), 0o644); err != nil {
		return "", fmt.Errorf("make a module: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "slow_test.go"), []byte(text.String()), 0o644); err != nil {
		return "", fmt.Errorf("make a module: %w", err)
	}
	return dir, nil
}

// failingSerf is serf with one more test.
func failingSerf(ctx context.Context, b *bench) (string, error) {
	suite := serf
	suite.name = "serf-red"
	dir, err := b.fetch(ctx, suite)
	if err != nil {
		return "", err
	}
	text := "package serf\n\nimport \"testing\"\n\nfunc TestRed(t *testing.T) { t.Error(\"it fails\") }\n"
	if err := os.WriteFile(filepath.Join(dir, "serf", "red_test.go"), []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("add a test to serf: %w", err)
	}
	return dir, nil
}

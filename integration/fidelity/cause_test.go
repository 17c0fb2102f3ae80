package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/internal/compare"
)

func model(t *testing.T, events ...string) *compare.Model {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		action, test, _ := strings.Cut(e, " ")
		b.WriteString(`{"Action":"` + action + `","Package":"p","Test":"` + test + "\"}\n")
	}
	m, err := compare.Read(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func outcomes(t *testing.T, a, b, pkg string) *compare.Model {
	return model(t, "start", "run TestA", a+" TestA", "run TestB", b+" TestB", pkg)
}

func TestExplain(t *testing.T) {
	want := outcomes(t, "pass", "pass", "pass")
	got := outcomes(t, "pass", "fail", "fail")
	diffs := compare.Compare(want, got, compare.Verdicts, compare.Normal{})
	if len(diffs) != 2 {
		t.Fatalf("%v", diffs)
	}
	for _, c := range []struct {
		name  string
		alone string // outcome of TestB alone
		fails int    // how many repetitions of the package fail in TestB
		cause string // of TestB's difference
		shown bool
	}{
		{"fails alone", "fail", 0, "order dependence", true},
		{"fails now and then", "pass", 2, "flakiness: run 1 of", true},
		{"fails alone and now and then", "fail", 1, "flakiness: run 1 of", true},
		{"never fails", "pass", 0, "unknown", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			repeated := 0
			ask := func(_ context.Context, args ...string) (*compare.Model, error) {
				if args[0] == "-run" {
					if args[1] != "^TestB$" {
						t.Errorf("asked for %q", args)
					}
					return model(t, "start", "run TestB", c.alone+" TestB", c.alone), nil
				}
				if repeated++; repeated <= c.fails {
					return got, nil
				}
				return want, nil
			}
			findings, err := explain(t.Context(), ask, want, got, diffs, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range findings {
				if f.shown != c.shown {
					t.Errorf("%s: shown %v, cause %s", f.name, f.shown, f.cause)
				}
				if f.Test == "TestB" && !strings.HasPrefix(f.cause, c.cause) {
					t.Errorf("%s: cause %q, want %q", f.name, f.cause, c.cause)
				}
			}
		})
	}
}

// What a test does where there is no go command, it does under go test without one, too; flakiness
// is not looked for then.
func TestExplainWithoutGo(t *testing.T) {
	want := outcomes(t, "pass", "pass", "pass")
	got := outcomes(t, "pass", "fail", "fail")
	diffs := compare.Compare(want, got, compare.Verdicts, compare.Normal{})
	for _, without := range []string{"fail", "pass", "skip"} {
		asked := 0
		ask := func(_ context.Context, args ...string) (*compare.Model, error) {
			if args[0] != "-exec" {
				return want, nil
			}
			asked++
			if !strings.HasPrefix(args[1], "env GOROOT=/nowhere PATH=") || !slices.Equal(args[2:], []string{"-run", "^TestB$", "p"}) {
				t.Errorf("asked for %q", args)
			}
			return model(t, "start", "run TestB", without+" TestB", without), nil
		}
		for _, noGo := range []bool{true, false} {
			findings, err := explain(t.Context(), ask, want, got, diffs, noGo)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range findings {
				if shown := noGo && without == "fail"; f.shown != shown || f.Test == "TestB" && shown != strings.HasPrefix(f.cause, "it needs the go command") {
					t.Errorf("%s without go, noGo %v: %s: shown %v, cause %q", without, noGo, f.name, f.shown, f.cause)
				}
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times what happens without go, want 1", asked)
		}
	}
}

// A subtest whose name holds an address is another one in every run.
func TestExplainChangingNames(t *testing.T) {
	named := func(name string) *compare.Model {
		return model(t, "start", "run TestA", "run TestA/"+name, "pass TestA/"+name, "pass TestA", "pass")
	}
	want, got := named("0x1"), named("0x2")
	next := 2
	ask := func(context.Context, ...string) (*compare.Model, error) {
		next++
		return named(fmt.Sprintf("0x%d", next)), nil
	}
	findings, err := explain(t.Context(), ask, want, got, compare.Compare(want, got, compare.Verdicts, compare.Normal{}), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 2 || !findings[0].shown || !findings[1].shown {
		t.Errorf("%+v", findings)
	}
	// A subtest that only xdist has, while its siblings keep their names, has no such cause.
	steady := func(context.Context, ...string) (*compare.Model, error) { return want, nil }
	findings, err = explain(t.Context(), steady, want, got, compare.Compare(want, got, compare.Verdicts, compare.Normal{}), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 2 || findings[0].shown || findings[1].shown {
		t.Errorf("%+v", findings)
	}
}

// The real go command shows the order dependence of the fixture that is made for it.
func TestExplainOrderDependence(t *testing.T) {
	const pkg = "example.com/order"
	dir, err := filepath.Abs("../testdata/order")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context, args ...string) (*compare.Model, error) {
		_, m, err := goTest(ctx, dir, args...)
		return m, err
	}
	want, err := ask(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ask(t.Context(), "-run=TestSecond", ".")
	if err != nil {
		t.Fatal(err)
	}
	got.Packages[pkg].Tests["TestFirst"] = want.Packages[pkg].Tests["TestFirst"]
	got.Packages[pkg].Tests["TestThird"] = want.Packages[pkg].Tests["TestThird"]
	findings, err := explain(t.Context(), ask, want, got, compare.Compare(want, got, compare.Verdicts, compare.Normal{}), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 2 {
		t.Fatalf("%d findings: %v", len(findings), findings)
	}
	for _, f := range findings {
		if !f.shown {
			t.Errorf("%s: %s", f.name, f.cause)
		}
	}
}

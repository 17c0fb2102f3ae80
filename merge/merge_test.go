package merge

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/gotest/test2json"
	"github.com/xdist-go/xdist/reporters"
	"github.com/xdist-go/xdist/scheduler/event"
)

var update = flag.Bool("update", false, "write the goldens anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

func read(t *testing.T, names ...string) []*File {
	t.Helper()
	var files []*File
	for _, name := range names {
		f, err := Read("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func TestMerge(t *testing.T) {
	files := read(t, "a.json", "a.cov", "b.json", "b.cov")
	profile, err := Profiles(files)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/all.cov", profile.Append(nil))
	merged, err := Events(files, profile)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	json, err := reporters.NewJSON(reporters.JSONConfig{Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	if err := merged.Replay(json); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/all.json", out.Bytes())
	want := event.Summary{Collected: 4, Failed: 1, BuildFailed: 1, Counts: map[event.Verdict]int{event.Pass: 2, event.Skip: 1, event.Fail: 1}}
	if diff := cmp.Diff(want, merged.Summary); diff != "" {
		t.Error(diff)
	}
}

// TestOneFileStaysAsItIs: what no other job has a part of is not touched.
func TestOneFileStaysAsItIs(t *testing.T) {
	files := read(t, "a.json")
	merged, err := Events(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files[0].Events, merged.Events); diff != "" {
		t.Error(diff)
	}
}

func events(t *testing.T, name string, lines ...string) *File {
	t.Helper()
	f, err := parse(name, []byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDuplicate(t *testing.T) {
	run := `{"Action":"run","Package":"p","Test":"TestA/x"}`
	_, err := Events([]*File{events(t, "one", run, run), events(t, "two", `{"Action":"start","Package":"p"}`), events(t, "three", run)}, nil)
	if err == nil || err.Error() != "merge events: p::TestA/x is in one and in three: these are no parts of one run" {
		t.Error(err)
	}
}

// TestCutOff: a job that died in the middle of a package makes that fail, also when the other part
// passed.
func TestCutOff(t *testing.T) {
	start := `{"Action":"start","Package":"p"}`
	whole := events(t, "whole", start, `{"Action":"run","Package":"p","Test":"TestB"}`, `{"Action":"pass","Package":"p","Test":"TestB"}`, `{"Action":"pass","Package":"p","Elapsed":1}`)
	cut := events(t, "cut", start, `{"Action":"run","Package":"p","Test":"TestA"}`)
	for _, files := range [][]*File{{whole, cut}, {cut, whole}} {
		merged, err := Events(files, nil)
		if err != nil {
			t.Fatal(err)
		}
		last := merged.Events[len(merged.Events)-1]
		if last.Action != test2json.ActionFail || last.Test != "" || merged.Summary.Failed != 1 || merged.Summary.Counts[event.Fail] != 1 || len(merged.Warnings) != 1 {
			t.Errorf("ends with %+v: %+v, %q", last, merged.Summary, merged.Warnings)
		}
	}
}

func TestKinds(t *testing.T) {
	for text, want := range map[string]Kind{
		"":                                     KindEvents,
		" \n{\"Action\":\"start\"}":            KindEvents,
		"<?xml version=\"1.0\"?><testsuites/>": KindJUnit,
		"mode: count\n":                        KindProfile,
	} {
		if f, err := parse("x", []byte(text)); err != nil || f.Kind != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"text", "{}", "{\n{\"Action\":\"start\"}", "<html>", "mode: x\n"} {
		if _, err := parse("x", []byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// TestModesDiffer: profiles that count in two ways have no sum.
func TestModesDiffer(t *testing.T) {
	if _, err := Profiles([]*File{events(t, "a", "mode: set\n"), events(t, "b", "mode: count\n")}); err == nil || !strings.Contains(err.Error(), "profile 2 has mode count, want set") {
		t.Error(err)
	}
}

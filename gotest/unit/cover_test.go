package unit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func covered(t *testing.T, run string, args ...string) Unit {
	t.Helper()
	u := fixture(t, "covered", run, append([]string{"-test.gocoverdir=/nonexistent", "-test.coverprofile=/nonexistent/profile"}, args...)...)
	u.CoverProfile = true
	return u
}

// TestProfile shows the profile and the coverage line of a whole package and of a part.
func TestProfile(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp) // Windows
	for _, tt := range []struct {
		name     string
		unit     Unit
		coverage string
		output   string // of the package
		covered  string // line of the profile
	}{
		{"whole", covered(t, "One|Two"), "coverage: 75.0% of statements in ./covered/...", "PASS\ncoverage: 75.0% of statements in ./covered/...\n", "fixture.test/covered/dep/dep.go:4.16,4.28 1 1"},
		{"part", part(covered(t, ""), "TestTwo"), "coverage: 25.0% of statements in ./covered/...", "", "fixture.test/covered/dep/dep.go:4.16,4.28 1 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := &recorder{}
			res := Run(t.Context(), tt.unit, rec.emit)
			if res.Failed || res.Coverage != tt.coverage || rec.output("") != tt.output {
				t.Errorf("coverage %q, package output %q, want %q, %q\nresult: %+v", res.Coverage, rec.output(""), tt.coverage, tt.output, res)
			}
			if !strings.HasPrefix(string(res.Profile), "mode: set\n") || !strings.Contains(string(res.Profile), tt.covered+"\n") {
				t.Errorf("profile\n%s\nwant the line\n%s", res.Profile, tt.covered)
			}
			assertEmpty(t, temp)
		})
	}
}

// TestProfileOfTheDead shows that a process that dies leaves neither profile nor files, and that
// this is no further error.
func TestProfileOfTheDead(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	res := Run(t.Context(), covered(t, "Dies"), func([]event) {})
	if res.Culprit != "TestDies" || res.Profile != nil || res.Err != "" {
		t.Errorf("result %+v", res)
	}
	assertEmpty(t, temp)
}

// TestCoverMeta shows that the metafiles are where the binary looks for them.
func TestCoverMeta(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	u := covered(t, "One|Two")
	u.CoverMeta = t.TempDir()
	names := filepath.Join(u.CoverMeta, "metafiles.txt")
	if err := os.WriteFile(names, []byte(`{"ImportPaths":["p"],"MetaFileFragments":["meta.0"]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	rec := &recorder{}
	if res := Run(t.Context(), u, rec.emit); !res.Failed || !strings.Contains(rec.output(""), filepath.Join(u.CoverMeta, "meta.0")) {
		t.Errorf("result %+v, output %q, want a complaint about meta.0 beside metafiles.txt, wherever that came from", res, rec.output(""))
	}
	if err := os.WriteFile(names, []byte("no JSON"), 0o666); err != nil {
		t.Fatal(err)
	}
	if res := Run(t.Context(), u, rec.emit); res.Started || !strings.Contains(res.Err, "metafiles.txt") {
		t.Errorf("result %+v, want an error about metafiles.txt", res)
	}
	u.CoverMeta = filepath.Join(u.CoverMeta, "missing")
	if res := Run(t.Context(), u, rec.emit); res.Started || !strings.Contains(res.Err, "missing") {
		t.Errorf("result %+v, want an error about the missing directory", res)
	}
	assertEmpty(t, temp)
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left in %s: %v, %v", dir, entries, err)
	}
}

package gotest

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// TestLoadChecks has a binary damaged in the store. It is noticed when it was not looked at for a
// day, and what was looked at is not looked at again.
func TestLoadChecks(t *testing.T) {
	l := newLoads(t, platformModule)
	l.mustLoad(Platform{}, "./...")
	known := l.mustLoad(Platform{}, "./...")
	key, ready := "link:"+known.listed[0].LinkKey, known.ready["example.com/m/p"]
	content, err := os.ReadFile(ready.Binary)
	if err != nil {
		t.Fatal(err)
	}
	lookedAt := func() record {
		t.Helper()
		data, ok := l.store.GetRecord(key)
		var rec record
		if !ok || json.Unmarshal(data, &rec) != nil {
			t.Fatalf("no record %q: %s", key, data)
		}
		return rec
	}
	age := func() {
		t.Helper()
		rec := lookedAt()
		rec.Checked = time.Now().Add(-2 * checkEvery)
		data, err := json.Marshal(rec)
		if err == nil {
			err = l.store.PutRecord(key, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	age()
	if again := l.mustLoad(Platform{}, "./..."); len(again.warnings) > 0 || time.Since(lookedAt().Checked) > checkEvery {
		t.Errorf("a binary that is right: %q, looked at %v", again.warnings, lookedAt().Checked)
	}
	if err := os.WriteFile(ready.Binary, make([]byte, len(content)), 0o755); err != nil {
		t.Fatal(err)
	}
	if again := l.mustLoad(Platform{}, "./..."); len(again.warnings) > 0 {
		t.Errorf("within a day: %q", again.warnings)
	}
	age()
	again := l.mustLoad(Platform{}, "./...")
	if len(again.warnings) != 1 || !strings.Contains(again.warnings[0], "damaged in the store") {
		t.Errorf("after a day: %q", again.warnings)
	}
	if now, err := os.ReadFile(again.ready["example.com/m/p"].Binary); err != nil || string(now) != string(content) {
		t.Errorf("%d bytes, %v, want the binary as it was", len(now), err)
	}
}

// TestBuildFor has a package for another mirror than it was made for. With -trimpath the binary
// serves all of them.
func TestBuildFor(t *testing.T) {
	l := newLoads(t, platformModule)
	l.t.Chdir(l.dir)
	for _, trimmed := range []bool{false, true} {
		args := []string{"./..."}
		if trimmed {
			args = []string{"-trimpath", "./..."}
		}
		made := l.mustLoad(Platform{Trim: Trim{Root: l.dir, Mirror: "/mirror/one"}}, args...).ready["example.com/m/p"]
		cfg, err := l.config(Platform{Trim: Trim{Root: l.dir, Mirror: "/mirror/two"}}, t.TempDir(), args...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := BuildFor(t.Context(), cfg, Ready{Package: made.Package, Binary: made.Binary, Digest: made.Digest})
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(got.Binary)
		if err != nil {
			t.Fatal(err)
		}
		if trimmed != (got.Digest == made.Digest) || !trimmed != bytes.Contains(content, []byte("/mirror/two/p/p_test.go")) || bytes.Contains(content, []byte("/mirror/one/")) {
			t.Errorf("-trimpath %v: made %s, and for another mirror %s", trimmed, made.Binary, got.Binary)
		}
		idle := cfg
		idle.Go = "no-such-go" // nothing is built that is in the store
		if again, err := BuildFor(t.Context(), idle, Ready{Package: made.Package, Binary: made.Binary, Digest: made.Digest}); err != nil || again.Binary != got.Binary {
			t.Errorf("-trimpath %v: again it is %s, %v, and was %s", trimmed, again.Binary, err, got.Binary)
		}
		if trimmed {
			continue
		}
		if err := os.WriteFile(got.Binary, make([]byte, len(content)), 0o755); err != nil { // in the store, too
			t.Fatal(err)
		}
		mended, err := BuildFor(t.Context(), cfg, Ready{Package: made.Package, Binary: made.Binary, Digest: made.Digest})
		if err != nil {
			t.Fatal(err)
		}
		if now, err := os.ReadFile(mended.Binary); err != nil || !bytes.Equal(now, content) {
			t.Errorf("damaged, it has %d bytes, %v, want the binary as it was", len(now), err)
		}
	}
}

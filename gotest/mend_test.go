package gotest

import (
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

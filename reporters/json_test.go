package reporters

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/gotestsum/testjson"

	"github.com/xdist-go/xdist/scheduler/event"
)

// The lines are, byte for byte, the ones that go test wrote.
func TestJSONIsGoTestJSON(t *testing.T) {
	for _, file := range []string{recordedRun, recordedBench} {
		var out bytes.Buffer
		j, err := NewJSON(JSONConfig{Out: &out})
		if err != nil {
			t.Fatal(err)
		}
		play(t, j, recordedAsRun(t, file))
		want, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

type counts struct{ Total, Failed, Skipped, Errors, Packages int }

func scanCounts(t *testing.T, stream []byte) counts {
	t.Helper()
	exec, err := testjson.ScanTestOutput(testjson.ScanConfig{Stdout: bytes.NewReader(stream)})
	if err != nil {
		t.Fatal(err)
	}
	return counts{exec.Total(), len(exec.Failed()), len(exec.Skipped()), len(exec.Errors()), len(exec.Packages())}
}

func TestJSONRoundTrip(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "dir", "run.json")
	j, err := NewJSON(JSONConfig{File: file})
	if err != nil {
		t.Fatal(err)
	}
	play(t, j, recordedAsRun(t, recordedRun))
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", recordedRun))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(scanCounts(t, want), scanCounts(t, got)); diff != "" {
		t.Error(diff)
	}
	if c := scanCounts(t, got); c.Total < 20 || c.Failed < 10 || c.Skipped != 1 {
		t.Errorf("the recorded run has only %+v", c)
	}
}

// Who reads from a pipe has each event when Handle returns, in one piece.
func TestJSONWritesEachEventAtOnce(t *testing.T) {
	var writes []string
	j, err := NewJSON(JSONConfig{Out: writerFunc(func(p []byte) { writes = append(writes, string(p)) })})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for n := range 3 {
		if err := j.Handle(testEvent("output", "TestX", "hanging from here\n")); err != nil {
			t.Fatal(err)
		}
		if len(writes) != n+1 || !strings.HasSuffix(writes[n], "hanging from here\\n\"}\n") {
			t.Errorf("after event %d there are the writes %q", n, writes)
		}
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// A file has what was written a moment later, or when there is much of it, and all when it is
// closed.
func TestFilesAreWrittenLate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "run.json")
	size := func() int64 {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	synctest.Test(t, func(t *testing.T) {
		j, err := NewJSON(JSONConfig{File: name})
		if err != nil {
			t.Fatal(err)
		}
		write := func(text string) {
			if err := j.Handle(testEvent("output", "TestX", text)); err != nil {
				t.Fatal(err)
			}
		}
		write("first")
		if n := size(); n != 0 {
			t.Errorf("%d bytes are there at once", n)
		}
		time.Sleep(lateBy)
		synctest.Wait()
		first := size()
		if first == 0 {
			t.Error("nothing is there later")
		}
		write(strings.Repeat("x", lateBytes))
		much := size()
		if much < lateBytes {
			t.Errorf("%d bytes are there after much was written", much)
		}
		write("last")
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if n := size(); n <= much {
			t.Errorf("%d bytes are there after the end, and %d before", n, much)
		}
	})
}

// Before the process is stopped its files have all that was written: nothing is written later then.
func TestFilesAreWrittenBeforeAStop(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j, err := NewJSON(JSONConfig{File: filepath.Join(dir, "run.json")})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		e, err := OpenEvents(filepath.Join(dir, "events.json"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for _, ev := range []event.Event{testEvent("output", "TestX", "first"), event.Suspended{}} {
			if err := errors.Join(j.Handle(ev), e.Handle(ev)); err != nil {
				t.Fatal(err)
			}
		}
		for name, last := range map[string]string{"run.json": "first\"}\n", "events.json": "suspended\"}\n"} {
			if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.HasSuffix(string(text), last) {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
	})
}

func TestJSONWriterFails(t *testing.T) {
	out := &fullWriter{room: 100}
	j, err := NewJSON(JSONConfig{Out: out})
	if err != nil {
		t.Fatal(err)
	}
	var first error
	for range 3 {
		first = errors.Join(first, j.Handle(testEvent("output", "TestX", "something\n")))
	}
	out.room = 1000 // room again does not mend the line that was cut
	if err := j.Handle(testEvent("pass", "TestX", "")); !errors.Is(err, errFull) || out.room != 1000 {
		t.Errorf("after the failure: Handle returned %v and wrote %d bytes", err, 1000-out.room)
	}
	if !errors.Is(first, errFull) || !strings.HasPrefix(first.Error(), "write JSON output: ") {
		t.Errorf("Handle returned %v", first)
	}
	if err := j.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close returned %v", err)
	}
}

func TestJSONFileThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(file, "below")} {
		if _, err := NewJSON(JSONConfig{File: path}); err == nil || !strings.Contains(err.Error(), "create JSON report ") {
			t.Errorf("%s: error is %v", path, err)
		}
	}
}

func TestJSONIgnoresOtherEvents(t *testing.T) {
	var out bytes.Buffer
	j, err := NewJSON(JSONConfig{Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	play(t, j, []event.Event{event.RunStarted{}, event.Warning{Text: "w"}, event.Stderr{Text: "s"}, event.RunEnded{}})
	if out.Len() != 0 {
		t.Errorf("wrote %q", out.String())
	}
}

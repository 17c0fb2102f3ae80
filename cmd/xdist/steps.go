package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/internal/atomicfile"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/scheduler/event"
)

// steps are what the runs of --stepwise have passed since one of them began anew. They end when a
// run has nothing left to do: the next one runs all tests.
type steps struct {
	file string
	done map[string]bool // tests that have passed or skipped, by platform and id
}

// stepsLimit bounds what is read of the file, in bytes: some 500,000 tests.
const stepsLimit = 64 << 20

// openSteps reads what the steps before have passed, of the module and under the conditions of key.
func openSteps(c *cli.Context, key string) (*steps, error) {
	cache, _, err := cachePlace(c)
	if err != nil {
		return nil, usageError(err)
	}
	sum := sha256.Sum256([]byte(key))
	s := &steps{file: filepath.Join(cache, "stepwise", hex.EncodeToString(sum[:16])+".json"), done: map[string]bool{}}
	text, err := ownfile.Read(s.file, stepsLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	var ids []string
	if err == nil {
		err = json.Unmarshal(text, &ids)
	}
	if err != nil {
		return nil, fmt.Errorf("read the steps of --stepwise: %w; remove %s to begin anew", err, s.file)
	}
	for _, id := range ids {
		s.done[id] = true
	}
	return s, nil
}

func (s *steps) passed(platform, id string) bool { return s.done[platform+" "+id] }

// record keeps what a run has passed. whole says that it had nothing left to do, and nothing
// failed. A nil receiver is a run without steps.
func (s *steps) record(sum event.Summary, whole bool) error {
	if s == nil {
		return nil
	}
	if whole {
		if err := os.Remove(s.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("end the steps of --stepwise: %w", err)
		}
		return nil
	}
	bad := map[string]bool{} // under --dist each a test has several verdicts
	for _, it := range sum.Durations {
		key := it.Platform + " " + it.Test
		switch it.Verdict {
		case event.Pass, event.Skip, event.Flaky:
			s.done[key] = true
		default:
			bad[key] = true
		}
	}
	for key := range bad {
		delete(s.done, key)
	}
	ids := make([]string, 0, len(s.done))
	for id := range s.done {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	err := ownfile.MakeDir(filepath.Dir(s.file))
	var f *atomicfile.File
	if err == nil {
		f, err = atomicfile.New(s.file)
	}
	if err == nil {
		err = f.Replace(func(w io.Writer) error { return json.NewEncoder(w).Encode(ids) })
	}
	if err != nil {
		return fmt.Errorf("keep the steps of --stepwise: %w", err)
	}
	return nil
}

// finished reports whether a run has left nothing to do for a next step.
func finished(s event.Summary, err error) bool {
	return err == nil && event.RunEnded{Summary: s}.Outcome() == event.Passed && s.Counts[event.NotRun] == 0
}

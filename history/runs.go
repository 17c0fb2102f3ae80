package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// keptRuns are listed; what was run where is kept of fewer when that is much.
	keptRuns = 50
	// maxDetails bounds what is kept of the runs' units and tests together, in bytes.
	maxDetails = 32 << 20
)

// details of a run: too much to be read by every run that begins.
type details struct {
	Units []UnitRun
	Tests []TestRun // top-level ones, with what was expected of them
}

// summary is what a Book lists of a run.
func (run Run) summary() RunSummary {
	s := RunSummary{
		ID: run.ID, Time: run.Time.UTC().Truncate(time.Second), Elapsed: run.Elapsed, Command: run.Command, Dist: run.Dist, Stopped: run.Stopped, Foreseen: run.Foreseen,
	}
	gateways := make(map[string]bool)
	var longest time.Duration
	var misses []float64
	for _, u := range run.Units {
		if !gateways[u.Gateway] {
			gateways[u.Gateway] = true
			s.Ran = append(s.Ran, u.Gateway)
		}
	}
	for _, t := range run.Tests {
		if topLevel(t.Test) != t.Test {
			continue
		}
		s.Tests++
		s.Total += t.Elapsed
		if t.Verdict == Fail || t.Verdict == Crash {
			s.Failed++
		}
		if t.Expected <= 0 {
			continue
		}
		s.Predicted++
		s.Expected += t.Expected
		s.Actual += t.Elapsed
		longest = max(longest, t.Expected)
		if t.Verdict == Pass && t.Elapsed > 0 {
			misses = append(misses, math.Exp(math.Abs(math.Log(t.Elapsed.Seconds()/t.Expected.Seconds()))))
		}
	}
	s.Gateways = len(gateways)
	if s.Gateways > 0 {
		s.Bound = max(longest, s.Expected/time.Duration(s.Gateways))
	}
	if len(misses) > 0 {
		s.MedianMiss = medianOf(misses)
	}
	return s
}

// runKey sorts by time.
func runKey(run Run) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(run.Time.UnixNano())), run.ID...)
}

// storeRun adds a run to the list, and takes the oldest from it.
func storeRun(tx *bbolt.Tx, run Run) error {
	key, now := runKey(run), run.Time.Unix()
	if err := keep(tx, runsBucket, key, run.summary(), now); err != nil {
		return err
	}
	top := func(t TestRun) bool { return topLevel(t.Test) != t.Test }
	d := details{Units: run.Units, Tests: slices.DeleteFunc(slices.Clone(run.Tests), top)}
	if err := keep(tx, detailsBucket, key, d, now); err != nil {
		return err
	}
	return errors.Join(trim(tx, runsBucket, math.MaxInt), trim(tx, detailsBucket, maxDetails))
}

// trim deletes the oldest of a bucket until there are at most keptRuns, with so many bytes in sum.
func trim(tx *bbolt.Tx, bucket []byte, bytes int) error {
	in := tx.Bucket(bucket)
	var old [][]byte
	n, sum := 0, 0
	for c, key, value := cursor(in); key != nil; key, value = c.Prev() {
		n++
		if sum += len(value); n > keptRuns || n > 1 && sum > bytes {
			old = append(old, slices.Clone(key))
		}
	}
	for _, key := range old {
		if err := in.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// cursor begins at the newest run.
func cursor(in *bbolt.Bucket) (c *bbolt.Cursor, key, value []byte) {
	c = in.Cursor()
	key, value = c.Last()
	return c, key, value
}

func (b *Book) loadRuns(tx *bbolt.Tx) error {
	err := each(tx, runsBucket, func(_, value []byte) error {
		var s RunSummary
		if err := open(value, &s); err != nil {
			return err
		}
		b.runs = append(b.runs, s)
		return nil
	})
	slices.Reverse(b.runs)
	return err
}

// LastRun names the newest run.
const LastRun = "last"

// FindRun returns the run that name names: its id or the beginning of it, where the newest run that
// fits is taken, or LastRun.
func (b *Book) FindRun(name string) (RunSummary, error) {
	for _, r := range b.Runs() {
		if name == LastRun || name != "" && strings.HasPrefix(r.ID, name) {
			return r, nil
		}
	}
	return RunSummary{}, fmt.Errorf("look up run %q: the history does not have it (any more); xdist history runs lists those it has", name)
}

// Replay returns the units that a gateway ran, in their order, in a run of the file; those of all
// gateways when gateway is "". A run is named by its id or the beginning of it, the newest run that
// fits is taken.
func (b *Book) Replay(runID, gateway string) ([]UnitRun, error) {
	if b == nil || b.dir == "" {
		return nil, fmt.Errorf("look up run %q: there is no history", runID)
	}
	var d details
	found := false
	err := access(FileName(b.dir, b.module), true, func(tx *bbolt.Tx) error {
		in := tx.Bucket(detailsBucket)
		if in == nil {
			return nil
		}
		for c, key, value := cursor(in); key != nil; key, value = c.Prev() {
			if len(key) > 8 && strings.HasPrefix(string(key[8:]), runID) {
				found = true
				return open(value, &d)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("look up run %q: the history of %s does not have it (any more); xdist history runs lists those it has", runID, b.module)
	}
	units := slices.DeleteFunc(d.Units, func(u UnitRun) bool { return gateway != "" && u.Gateway != gateway })
	if len(units) == 0 {
		return nil, fmt.Errorf("look up run %q: gateway %q ran nothing in it", runID, gateway)
	}
	return units, nil
}

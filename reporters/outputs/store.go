package outputs

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/xdist-go/xdist/internal/ownfile"
)

const (
	runsKept  = 10
	storeKept = 256 << 20 // bytes on disk
	// readLimit bounds what is written and read of one run, in bytes that are not compressed: a
	// file may have been tampered with.
	readLimit = 2 << 30
	// lineLimit bounds a line: six bytes of JSON for each of the output, of a package and of the
	// build that it failed of, and names.
	lineLimit = 2*6*recordKept + 1<<20
	suffix    = ".zst"
)

// Store is where outputs are kept. Its directory is made when the first run is.
type Store struct {
	Dir    string
	Module string
}

// Run is a run that was kept.
type Run struct {
	ID      string    `json:"run"`
	Time    time.Time `json:"time"` // of its start
	Command []string  `json:"command"`

	file string
}

// Record is what was printed by an attempt at a test, or by a package beside its tests.
type Record struct {
	Package  string  `json:"package"` // as events have it
	Test     string  `json:"test,omitempty"`
	Gateway  string  `json:"gateway,omitempty"`
	Platform string  `json:"platform,omitempty"`
	Attempt  int     `json:"attempt,omitempty"`
	Action   string  `json:"action"` // pass, fail or skip
	Elapsed  float64 `json:"elapsed,omitempty"`
	Why      string  `json:"why,omitempty"` // of an attempt that does not count: the rule
	Pieces   []Piece `json:"pieces,omitempty"`
	Lost     int     `json:"lost,omitempty"` // bytes that were left out in the middle
}

// Piece is some output of a test or a subtest.
type Piece struct {
	Test   string `json:"test,omitempty"`
	Output string `json:"output"`
}

// prefix is what names of files of the module begin with.
func (s Store) prefix() string {
	sum := sha256.Sum256([]byte(s.Module))
	return hex.EncodeToString(sum[:8]) + "-"
}

// name is that of a new file: names of a module are in the order of time.
func (s Store) name(run Run) string {
	id := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, run.ID)
	return filepath.Join(s.Dir, fmt.Sprintf("%s%020d-%s%s", s.prefix(), max(0, run.Time.UnixNano()), id[:min(len(id), 32)], suffix))
}

// files are those of a prefix, the newest first.
func (s Store) files(prefix string) ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var files []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), suffix) {
			files = append(files, filepath.Join(s.Dir, e.Name()))
		}
	}
	slices.Sort(files)
	slices.Reverse(files)
	return files, err
}

// Runs are the runs of the module, the newest first. One that cannot be read is an error.
func (s Store) Runs() ([]Run, error) {
	files, err := s.files(s.prefix())
	if err != nil {
		return nil, fmt.Errorf("read the outputs of earlier runs: %w", err)
	}
	var runs []Run
	for _, file := range files {
		run := Run{file: file}
		for line, err := range lines(file, readLimit) {
			if err == nil {
				err = json.Unmarshal(line, &run)
			}
			if errors.Is(err, fs.ErrNotExist) { // another run has made room
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read the outputs in %s: %w", file, err)
			}
			runs = append(runs, run)
			break
		}
	}
	return runs, nil
}

// Records are those of the run, in the order in which they ended.
func (r Run) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		first := true
		for line, err := range lines(r.file, readLimit) {
			var record Record
			if err == nil && !first {
				err = json.Unmarshal(line, &record)
			}
			if err != nil {
				yield(record, fmt.Errorf("read the outputs in %s: %w", r.file, err))
				return
			}
			if !first && !yield(record, nil) {
				return
			}
			first = false
		}
	}
}

// errTooLong is of a file that has more than a Keeper writes.
var errTooLong = errors.New("it is longer than what is kept of a run")

// lines are those of a file. They are valid until the next one. More than limit bytes are an error.
func lines(file string, limit int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		f, err := ownfile.Open(file)
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		in, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(windowSize))
		if err != nil {
			yield(nil, err)
			return
		}
		defer in.Close()
		rest := &io.LimitedReader{R: in, N: limit + 1}
		s := bufio.NewScanner(rest)
		s.Buffer(make([]byte, 0, 64<<10), lineLimit)
		for rest.N > 0 && s.Scan() && rest.N > 0 {
			if !yield(s.Bytes(), nil) {
				return
			}
		}
		if rest.N <= 0 {
			yield(nil, errTooLong)
		} else if err := s.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// prune removes the oldest runs: of the module beyond runsKept, and of all modules beyond
// storeKept. A file that another run has removed meanwhile is no error.
func (s Store) prune() error {
	mine, err := s.files(s.prefix())
	if err != nil {
		return err
	}
	for _, file := range mine[min(len(mine), runsKept):] {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	all, err := s.files("")
	if err != nil {
		return err
	}
	type kept struct {
		file string
		info fs.FileInfo
	}
	var infos []kept
	for _, file := range all {
		if info, err := os.Lstat(file); err == nil {
			infos = append(infos, kept{file, info})
		}
	}
	slices.SortFunc(infos, func(a, b kept) int {
		return cmp.Or(b.info.ModTime().Compare(a.info.ModTime()), strings.Compare(b.file, a.file))
	})
	var sum int64
	for i, k := range infos {
		if sum += k.info.Size(); sum <= storeKept || i == 0 {
			continue
		}
		if err := os.Remove(k.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

package programs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// program returns what stands for an executable, and what it is known by.
func program(content string) (Program, func(io.Writer) error) {
	sum := sha256.Sum256([]byte(content))
	return Program{hex.EncodeToString(sum[:]), int64(len(content))}, func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

// newStore returns a store with one place, which is not there yet.
func newStore(t *testing.T, limit int64) *Store {
	t.Helper()
	return &Store{places: []string{filepath.Join(t.TempDir(), "xdist")}, limit: limit}
}

// names are the names in the directory of a store's programs.
func names(t *testing.T, s *Store) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.places[0], "agents"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func put(t *testing.T, s *Store, content string) (Program, string) {
	t.Helper()
	p, receive := program(content)
	path, done, err := s.Put(p, receive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return p, path
}

func TestPutAndUse(t *testing.T) {
	s := newStore(t, 1000)
	p, receive := program("hello")
	if path, _ := s.Use(p); path != "" {
		t.Errorf("an empty store has %s", path)
	}
	path, done, err := s.Put(p, receive)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if text, err := os.ReadFile(path); err != nil || string(text) != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || filepath.Separator == '/' && info.Mode() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, doneToo := s.Use(p)
	if again != path {
		t.Errorf("used from %s, put at %s", again, path)
	}
	doneToo()
	if got := names(t, s); !slices.Equal(got, []string{p.Digest}) {
		t.Errorf("there are %q", got)
	}
}

// What is not the program that was announced is not kept, and leaves nothing.
func TestPutRefuses(t *testing.T) {
	good, _ := program("hello")
	failed := errors.New("the connection has ended")
	for _, tc := range []struct {
		name    string
		content string
		err     error
		want    error
	}{
		{"another", "world", nil, errWrong},
		{"short", "hell", nil, errWrong},
		{"long", "hello, and more", nil, errWrong},
		{"nothing", "", nil, errWrong},
		{"cut", "hel", failed, failed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore(t, 1000)
			_, _, err := s.Put(good, func(w io.Writer) error {
				_, err := io.WriteString(w, tc.content)
				return errors.Join(err, tc.err)
			})
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v", err)
			}
			if got := names(t, s); len(got) > 0 {
				t.Errorf("%q are left", got)
			}
			if path, _ := s.Use(good); path != "" {
				t.Errorf("kept at %s", path)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	s := New(1000)
	good, _ := program("hello")
	for _, p := range []Program{
		{good.Digest, 0}, {good.Digest, -1}, {good.Digest, 1001}, {good.Digest, 1 << 62},
		{"", 5}, {good.Digest[:62], 5}, {strings.ToUpper(good.Digest), 5}, {"../" + good.Digest[3:], 5}, {good.Digest + "/x", 5},
	} {
		if s.Check(p) == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	if err := s.Check(good); err != nil {
		t.Error(err)
	}
}

// What is on its way counts, so that many who begin and never end fill no disk.
func TestComingIsBounded(t *testing.T) {
	s := newStore(t, 8)
	first, _ := program("first")
	second, receive := program("second")
	_, _, err := s.Put(first, func(io.Writer) error {
		_, _, err := s.Put(second, receive)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("got %v", err)
	}
	put(t, s, "second")
}

// Several who bring the same program at once all get it.
func TestPutAtOnce(t *testing.T) {
	s := newStore(t, 1000)
	p, receive := program("hello")
	var all, wg sync.WaitGroup
	all.Add(4)
	for range 4 {
		wg.Go(func() {
			path, done, err := s.Put(p, func(w io.Writer) error {
				all.Done()
				all.Wait() // each has begun before one ends
				return receive(w)
			})
			if err != nil {
				t.Error(err)
				return
			}
			defer done()
			if text, err := os.ReadFile(path); err != nil || string(text) != "hello" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	wg.Wait()
	if got := names(t, s); !slices.Equal(got, []string{p.Digest}) {
		t.Errorf("there are %q", got)
	}
}

// age makes a program look as if it was used so long ago.
func age(t *testing.T, path string, d time.Duration) {
	t.Helper()
	then := time.Now().Add(-d)
	if err := os.Chtimes(filepath.Dir(path), then, then); err != nil {
		t.Fatal(err)
	}
}

// What was used least recently goes when there is too much, but for what runs and for what was
// started just now.
func TestPrune(t *testing.T) {
	s := newStore(t, 20)
	type entry struct {
		p    Program
		done func()
	}
	var kept []entry
	for i, content := range []string{"runs--", "old---", "new---"} {
		p, receive := program(content)
		path, done, err := s.Put(p, receive)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, entry{p, done})
		age(t, path, time.Duration(10-i)*time.Hour)
	}
	kept[1].done()
	kept[2].done()
	last, _ := put(t, s, "last--")
	want := []string{kept[0].p.Digest, kept[2].p.Digest, last.Digest}
	slices.Sort(want)
	if got := names(t, s); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	put(t, s, "more--------------")
	if path, done := s.Use(kept[0].p); path == "" {
		t.Error("what runs is gone")
	} else {
		done()
	}
	if path, _ := s.Use(kept[2].p); path != "" {
		t.Error("what was used first is still there")
	}
	kept[0].done()
}

// A server that is killed leaves a file, which the next one removes: not one that another is still
// writing.
func TestSweep(t *testing.T) {
	s := newStore(t, 1000)
	p, receive := program("hello")
	agents := filepath.Join(s.places[0], "agents")
	path, done, err := s.Put(p, func(w io.Writer) error {
		for _, left := range []string{tempPrefix + "left", tempPrefix + "left" + lockSuffix, tempPrefix + "alone"} {
			if err := os.WriteFile(filepath.Join(agents, left), []byte("hel"), 0o600); err != nil {
				return err
			}
		}
		s.Sweep()
		return receive(w)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if text, err := os.ReadFile(path); err != nil || string(text) != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	if got := names(t, s); !slices.Equal(got, []string{tempPrefix + "alone", p.Digest}) { // which may be about to get its lock
		t.Errorf("there are %q", got)
	}
	then := time.Now().Add(-2 * abandonedFor)
	if err := os.Chtimes(filepath.Join(agents, tempPrefix+"alone"), then, then); err != nil {
		t.Fatal(err)
	}
	s.Sweep()
	if got := names(t, s); !slices.Equal(got, []string{p.Digest}) {
		t.Errorf("there are %q", got)
	}
}

// A loss of power may leave a file of the right size and the wrong content.
func TestDamagedProgram(t *testing.T) {
	s := newStore(t, 1000)
	p, path := put(t, s, "hello")
	if err := os.WriteFile(path, []byte("\x00\x00\x00\x00\x00"), 0o700); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-2 * checkEvery)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Use(p); got != "" {
		t.Errorf("used from %s", got)
	}
	if _, again := put(t, s, "hello"); again != path {
		t.Errorf("put at %s", again)
	}
	if err := os.WriteFile(path, []byte("hell"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Use(p); got != "" {
		t.Errorf("used from %s although it is short", got)
	}
}

// A client that has this very program need not send it.
func TestOwnExecutable(t *testing.T) {
	s := newStore(t, 1<<40)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(self)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := digestOf(self)
	if err != nil {
		t.Fatal(err)
	}
	if path, _ := s.Use(Program{digest, info.Size()}); path != self {
		t.Errorf("got %q, want %q", path, self)
	}
	other, _ := program("another")
	if path, _ := s.Use(Program{other.Digest, info.Size()}); path != "" {
		t.Errorf("another of the same size is %q", path)
	}
}

// Those who begin at once, and sweep, do not drive each other to another place.
func TestBeginAtOnce(t *testing.T) {
	s := newStore(t, 1000)
	s.places = append(s.places, filepath.Join(t.TempDir(), "other"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				p, receive := program(strings.Repeat("x", i+1))
				path, done, err := s.Put(p, receive)
				if err != nil || !strings.HasPrefix(path, s.places[0]) {
					t.Errorf("%s, %v", path, err)
					return
				}
				done()
			}
		})
	}
	wg.Wait()
	if got := names(t, s); len(got) != 8 {
		t.Errorf("there are %q", got)
	}
}

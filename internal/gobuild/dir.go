// Package gobuild has the go command make executables, and keeps them in a directory of the user's
// that has a bound.
//
// A Dir is such a directory. Beside each executable lies a stamp, which holds its digest, so that
// asking again costs two calls of stat. Files are written under another name and renamed, so that
// several programs may share a directory. Prune removes what nobody has used for long.
//
// There are no goroutines. A ctx that ends interrupts the go command.
package gobuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/ownfile"
)

const (
	// Temporary ends the names of what is not complete.
	Temporary = ".tmp"
	// UnusedFor is how long an executable is kept that nobody asks for.
	UnusedFor = 30 * 24 * time.Hour
	// abandonedFor is the age of temporary files that nobody can still be writing.
	abandonedFor = 24 * time.Hour
	// tailBytes is how much of the compiler's text an error quotes: about a screenful.
	tailBytes = 2 << 10
	// interruptWait is what the go command gets to remove its files after an interrupt.
	interruptWait = 5 * time.Second
)

// Dir is a directory with executables. Its methods may be called concurrently.
type Dir struct {
	Path string // made when missing, and refused when another user may write there
	Go   string // the go command; "" is go on PATH
	Most int64  // how many bytes of executables Prune leaves; 0 is any number
}

// Error is that the go command has failed.
type Error struct {
	Command string // its first argument: build
	Text    string // the end of what it complained about; may be empty
	Err     error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("go %s: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("go %s: %v: %s", e.Command, e.Err, e.Text)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Work makes a directory for what is on its way. remove removes it; what a killed process leaves is
// pruned later.
func (d Dir) Work() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(d.Path, "build-*"+Temporary)
	return dir, func() { os.RemoveAll(dir) }, err
}

// Build has the go command, in src, make the executable of a name, with temporary files in work,
// which Work has made. args are its command, build or test -c, flags and package. When the system
// kills the go command, or a tool of it, it is called once more, to do less at once.
func (d Dir) Build(ctx context.Context, src, work string, env []string, name string, args ...string) error {
	env, err := workEnv(work, env)
	if err != nil {
		return err
	}
	made := filepath.Join(work, "agent")
	_, err = d.Run(ctx, src, env, slices.Concat(args[:1], []string{"-o", made}, args[1:])...)
	if wasKilled(err) {
		_, err = d.Run(ctx, src, env, slices.Concat(args[:1], []string{lessAtOnce(), "-o", made}, args[1:])...)
		err = advised(err)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(made, name); err != nil {
		return err
	}
	os.Remove(d.StampFile(name)) // it is of the one before, which may have been damaged
	return nil
}

// workEnv has the go command make its work directory below dir, unless the user has chosen another
// place: when it is killed it leaves that behind.
func workEnv(dir string, env []string) ([]string, error) {
	if slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "GOTMPDIR=") && v != "GOTMPDIR=" }) {
		return env, nil
	}
	work := filepath.Join(dir, "work")
	return append(env[:len(env):len(env)], "GOTMPDIR="+work), os.Mkdir(work, 0o700)
}

// Run runs the go command in a directory and returns what it prints. Errors: *Error; ctx's.
func (d Dir) Run(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	name := d.Go
	if name == "" {
		name = "go"
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(env[:len(env):len(env)], "PWD="+dir)
	cmd.Cancel = func() error {
		if cmd.Process.Signal(os.Interrupt) == nil {
			return nil // it removes its temporary files
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = interruptWait
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		text := strings.TrimSpace(stderr.String())
		return "", &Error{args[0], text[max(0, len(text)-tailBytes):], err}
	}
	return string(out), nil
}

// Prune removes executables that were not used for long, those that are too many, the ones used
// last excepted, and what killed processes left.
func (d Dir) Prune(now time.Time) {
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return
	}
	var stamps []fs.FileInfo
	for _, e := range entries {
		name := filepath.Join(d.Path, e.Name())
		info, err := e.Info()
		if err != nil {
			continue
		}
		age := now.Sub(info.ModTime())
		switch {
		case strings.HasSuffix(name, Temporary) && age > abandonedFor:
			os.RemoveAll(name)
		case strings.HasSuffix(name, knownSuffix) && age > UnusedFor:
			os.Remove(name)
		case strings.HasSuffix(name, ".stamp") && age > UnusedFor:
			d.removeUnused(name)
		case strings.HasSuffix(name, ".stamp"):
			stamps = append(stamps, info)
		}
	}
	if d.Most > 0 {
		d.pruneOldest(stamps)
	}
}

// pruneOldest removes the executables of stamps beyond Most.
func (d Dir) pruneOldest(stamps []fs.FileInfo) {
	slices.SortFunc(stamps, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	left := d.Most
	for _, info := range stamps {
		file := filepath.Join(d.Path, info.Name())
		s, err := d.own(file)
		if err != nil {
			continue
		}
		if left -= s.Size; left < 0 {
			d.removeUnused(file)
		}
	}
}

// removeUnused removes a stamp, and the executable that it stands for if that is one of d's own.
func (d Dir) removeUnused(file string) {
	if s, err := d.own(file); err == nil {
		os.Remove(s.Path)
	}
	os.Remove(file)
}

// own reads the stamp of an executable in d.
func (d Dir) own(file string) (s stamp, err error) {
	data, err := ownfile.Read(file, stampLimit)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err == nil && filepath.Dir(s.Path) != filepath.Clean(d.Path) {
		err = errors.New("it is elsewhere")
	}
	return s, err
}

package gobuild

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// Program is a main package, or the tests of a package. A main package may have Files, and then
// nothing else.
type Program struct {
	Dir     string            // absolute: in the module by which imports are resolved
	Package string            // relative to Dir and local: the package's directory, which need not exist when it has Files
	Tests   bool              // the program is the test binary of Package
	Files   map[string]string // contents by name, of files in Package's directory
	Env     []string          // of the go command, the platform included; the last of a name counts
	Flags   []string          // of go build
	Suffix  string            // of the executable's name: .exe
}

// known is what is remembered of a program: what it was made of, and where it is.
type known struct {
	Inputs Inputs
	State  string // of the inputs when it was made
	Name   string // of the executable
}

// Known returns the path of the program's executable, if it was compiled before from the same
// content of all that goes into it, with the same Go. The content of files counts as unchanged
// while name, size and time are; files of the module cache never change. The go command is not
// asked.
func (d Dir) Known(p Program) (string, bool) {
	return d.current(d.knownFile(p))
}

// current returns the path of the executable that a file tells of, if nothing has changed.
func (d Dir) current(file string) (string, bool) {
	k, ok := readKnown(file)
	if !ok || filepath.Dir(k.Name) != filepath.Clean(d.Path) || k.State != k.Inputs.state() || !d.Intact(k.Name) {
		return "", false
	}
	used(file)
	return k.Name, true
}

func readKnown(file string) (k known, ok bool) {
	data, err := ownfile.Read(file, knownLimit)
	return k, err == nil && json.Unmarshal(data, &k) == nil
}

// ChangedSince reports whether a file has changed after a time of those that a program was made of.
// Of a program that was not compiled here it reports that.
func (d Dir) ChangedSince(p Program, t time.Time) bool {
	k, ok := readKnown(d.knownFile(p))
	return !ok || slices.ContainsFunc(k.Inputs.Files, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && info.ModTime().After(t)
	})
}

// Keep remembers an executable of d under a key that says all about it. While it lies there it
// counts as unchanged, whatever becomes of its sources.
func (d Dir) Keep(key, name string) error {
	data, err := json.Marshal(known{State: Inputs{}.state(), Name: name})
	if err != nil {
		return err
	}
	return d.Write(d.keptFile(key), data)
}

// Kept returns the path of the executable that Keep has remembered, while it is there.
func (d Dir) Kept(key string) (string, bool) { return d.current(d.keptFile(key)) }

func (d Dir) keptFile(key string) string {
	return filepath.Join(d.Path, hashOf("kept", key)+knownSuffix)
}

func (d Dir) knownFile(p Program) string {
	return filepath.Join(d.Path, hashOf(p.key(), d.command())+knownSuffix)
}

// command is the path of the go command; "" where there is none.
func (d Dir) command() string {
	name, err := exec.LookPath(cmp.Or(d.Go, "go"))
	if err != nil {
		return ""
	}
	return name
}

// Executable returns the path of the program's executable, which is compiled unless it is Known.
// Errors: *Error; ctx's; those of the file system.
func (d Dir) Executable(ctx context.Context, p Program) (string, error) {
	if name, ok := d.Known(p); ok {
		return name, nil
	}
	if err := ownfile.MakeDir(d.Path); err != nil {
		return "", err
	}
	d.Prune(time.Now())
	work, remove, err := d.Work()
	if err != nil {
		return "", err
	}
	defer remove()
	flags, err := p.overlay(work)
	if err != nil {
		return "", err
	}
	var k known
	if k.Inputs, err = d.inputs(ctx, p, flags); err != nil {
		return "", p.inPlace(err, work)
	}
	k.State = k.Inputs.state() // before they are read: a change meanwhile has it made again
	k.Name = filepath.Join(d.Path, hashOf(p.key(), k.State)+p.Suffix)
	args := slices.Concat(p.command(), flags, p.Flags, []string{"./" + p.Package})
	if err := d.Build(ctx, p.Dir, work, p.Env, k.Name, args...); err != nil {
		return "", p.inPlace(err, work)
	}
	if _, err := d.Digest(k.Name); err != nil {
		return "", err
	}
	data, err := json.Marshal(k)
	if err == nil {
		err = d.Write(d.knownFile(p), data)
	}
	return k.Name, err
}

// knownSuffix ends the names of files that hold a known.
const knownSuffix = ".known"

// used keeps a file from being pruned too early, which would only have it made again.
func used(file string) {
	if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > usedEvery {
		now := time.Now()
		os.Chtimes(file, now, now)
	}
}

// command is that of go which makes it.
func (p Program) command() []string {
	if p.Tests {
		return []string{"test", "-c"}
	}
	return []string{"build"}
}

// key tells programs apart by what the caller says of them.
func (p Program) key() string {
	parts := []string{p.Dir, p.Package, p.Suffix, strings.Join(p.command(), " "), strings.Join(p.Flags, " ")}
	for _, name := range slices.Sorted(maps.Keys(p.Files)) {
		parts = append(parts, name, p.Files[name])
	}
	settings := make(map[string]string)
	for _, v := range p.Env {
		name, value, _ := strings.Cut(v, "=")
		if (strings.HasPrefix(name, "GO") || strings.HasPrefix(name, "CGO_")) && !slices.Contains(ofPrograms, name) {
			settings[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		parts = append(parts, name+"="+settings[name])
	}
	return hashOf(parts...)
}

// ofPrograms are variables that say how programs of Go run, and not how they are made.
var ofPrograms = []string{"GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GOTRACEBACK", "GORACE", "GOCOVERDIR", "GOTMPDIR"}

func hashOf(parts ...string) string {
	sum := sha256.New()
	for _, s := range parts {
		fmt.Fprintf(sum, "%d:%s", len(s), s) // a hash.Hash returns no error
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// overlay writes the program's files below work and returns the flags that put them in their place.
func (p Program) overlay(work string) ([]string, error) {
	if len(p.Files) == 0 {
		return nil, nil
	}
	replace := make(map[string]string)
	for name, content := range p.Files {
		file := filepath.Join(work, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return nil, err
		}
		replace[filepath.Join(p.Dir, p.Package, name)] = file
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(work, "overlay.json")
	return []string{"-overlay=" + file}, os.WriteFile(file, data, 0o600)
}

// inPlace has an error name files where they would be, and not in work.
func (p Program) inPlace(err error, work string) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	const sep = string(filepath.Separator)
	for _, dir := range p.namesOf(work) {
		e.Text = strings.ReplaceAll(e.Text, dir+sep, p.Package+sep)
	}
	return err
}

// namesOf are the names by which the go command may call a directory: it prefers the shorter one.
func (p Program) namesOf(dir string) []string {
	names := []string{dir}
	if rel, err := filepath.Rel(p.Dir, dir); err == nil {
		names = append(names, rel)
	}
	return names
}

// Inputs are the files of which a program is made, but for those that never change.
type Inputs struct {
	Files    []string // absolute
	Packages []string // directories in which another Go file would count
	Trees    []string // directories in which another file would count, because some are embedded
}

// state is a digest of how the inputs are now.
func (in Inputs) state() string {
	sum := sha256.New()
	for _, name := range in.Files {
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintf(sum, "%s is not there\n", name)
			continue
		}
		fmt.Fprintf(sum, "%s %d %d %d\n", name, info.Size(), info.ModTime().UnixNano(), inode(info))
	}
	list := func(dir string, counts func(fs.DirEntry) bool) {
		entries, err := os.ReadDir(dir)
		fmt.Fprintf(sum, "%s %t\n", dir, err == nil)
		for _, e := range entries {
			if counts(e) {
				io.WriteString(sum, e.Name()+"\n")
			}
		}
	}
	for _, dir := range in.Packages {
		list(dir, func(e fs.DirEntry) bool { return slices.Contains(sourceSuffixes, filepath.Ext(e.Name())) })
	}
	for _, dir := range in.Trees {
		list(dir, func(fs.DirEntry) bool { return true })
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// sourceSuffixes end the names of what goes into a package without cgo.
var sourceSuffixes = []string{".go", ".s", ".S", ".h", ".syso"}

// listed is a package as go list tells of it.
type listed struct {
	Dir, ImportPath                                                string
	Standard                                                       bool
	Module                                                         *struct{ GoMod string }
	GoFiles, IgnoredGoFiles, SFiles, HFiles, SysoFiles, EmbedFiles []string
}

// generated reports whether the go command makes up the package, as the main package of a test.
func (l listed) generated() bool { return len(l.GoFiles) > 0 && filepath.IsAbs(l.GoFiles[0]) }

// inputs asks the go command what a program is made of.
func (d Dir) inputs(ctx context.Context, p Program, flags []string) (in Inputs, err error) {
	out, err := d.Run(ctx, p.Dir, p.Env, "env", "-json", "GOMOD", "GOWORK", "GOROOT", "GOMODCACHE", "GOENV")
	if errors.Is(err, exec.ErrNotFound) {
		return in, errors.New("there is no go command on PATH: install Go (https://go.dev/dl)")
	}
	var env struct{ GOMOD, GOWORK, GOROOT, GOMODCACHE, GOENV string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &env)
	}
	if err != nil {
		return in, err
	}
	const fields = "-json=Dir,ImportPath,Standard,Module,GoFiles,IgnoredGoFiles,SFiles,HFiles,SysoFiles,EmbedFiles"
	list := []string{"list", "-deps", fields, "-test=" + strconv.FormatBool(p.Tests)}
	if out, err = d.Run(ctx, p.Dir, p.Env, slices.Concat(list, flags, p.Flags, []string{"./" + p.Package})...); err != nil {
		return in, err
	}
	files, packages, trees := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for _, name := range []string{env.GOMOD, sumOf(env.GOMOD), env.GOWORK, sumOf(env.GOWORK), env.GOENV, filepath.Join(env.GOROOT, "VERSION")} {
		files[name] = filepath.IsAbs(name)
	}
	if env.GOMOD != "" {
		files[filepath.Join(filepath.Dir(env.GOMOD), "vendor", "modules.txt")] = true
	}
	if env.GOWORK == "" { // one that appears would count
		for dir := p.Dir; ; dir = filepath.Dir(dir) {
			files[filepath.Join(dir, "go.work")] = filepath.IsAbs(dir)
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	files[d.command()] = true
	for dec := json.NewDecoder(strings.NewReader(out)); ; {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return in, fmt.Errorf("read what go list says: %w", err)
		}
		if l.Standard || l.generated() || within(l.Dir, env.GOMODCACHE) || len(p.Files) > 0 && l.Dir == filepath.Join(p.Dir, p.Package) {
			continue
		}
		packages[l.Dir] = true
		if l.Module != nil && l.Module.GoMod != "" {
			files[l.Module.GoMod] = true
		}
		for _, name := range slices.Concat(l.GoFiles, l.IgnoredGoFiles, l.SFiles, l.HFiles, l.SysoFiles) {
			files[filepath.Join(l.Dir, name)] = true
		}
		for _, name := range l.EmbedFiles {
			name = filepath.Join(l.Dir, name)
			files[name] = true
			for dir := filepath.Dir(name); within(dir, l.Dir); dir = filepath.Dir(dir) {
				trees[dir] = true // the package's own directory too: a pattern may fit what appears there
			}
		}
	}
	return Inputs{Files: chosen(files), Packages: chosen(packages), Trees: chosen(trees)}, nil
}

// sumOf is the file of checksums beside go.mod or go.work.
func sumOf(name string) string {
	switch filepath.Base(name) {
	case "go.mod":
		return filepath.Join(filepath.Dir(name), "go.sum")
	case "go.work":
		return name + ".sum"
	}
	return ""
}

// within reports whether a path is a directory or below it.
func within(name, dir string) bool {
	rel, err := filepath.Rel(dir, name)
	return dir != "" && err == nil && filepath.IsLocal(rel)
}

// chosen are the keys whose value is true, in order.
func chosen(set map[string]bool) []string {
	maps.DeleteFunc(set, func(_ string, in bool) bool { return !in })
	return slices.Sorted(maps.Keys(set))
}

package wire

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/gotest/test2json"
)

// BuildHandler is the name under which an agent offers a Builder's Build.
const BuildHandler = "xdist/build"

// BuildArgs asks a host to build for itself.
type BuildArgs struct {
	RunID   string `cbor:"1,keyasint"`
	Command []byte `cbor:"2,keyasint"`           // as gotest.Command.Encode writes it, with the paths of the host
	GOFLAGS string `cbor:"3,keyasint"`           // the controller's
	Go      string `cbor:"4,keyasint,omitempty"` // a toolchain as GOTOOLCHAIN has it, or ""
	// CacheSize bounds what the host keeps of its builds, in bytes; negative is no bound.
	CacheSize int64 `cbor:"5,keyasint"`
}

// BuildReport is what a host says of a build. Exactly one field is set, Listed with More aside.
// First comes Go, then what gotest.Load has to say, and Done at last.
type BuildReport struct {
	Go       string           `cbor:"1,keyasint,omitempty"` // GOVERSION of what builds
	Listed   []gotest.Package `cbor:"2,keyasint,omitempty"`
	More     bool             `cbor:"3,keyasint,omitempty"` // Listed goes on in the next report
	Ready    *BuiltPackage    `cbor:"4,keyasint,omitempty"`
	Reported *gotest.Reported `cbor:"5,keyasint,omitempty"`
	Output   *test2json.Event `cbor:"6,keyasint,omitempty"`
	Stderr   string           `cbor:"7,keyasint,omitempty"`
	Warning  string           `cbor:"8,keyasint,omitempty"`
	Profile  []byte           `cbor:"9,keyasint,omitempty"` // the next part of what go test itself writes to -coverprofile
	Done     *BuildEnd        `cbor:"10,keyasint,omitempty"`
	Step     *gotest.Step     `cbor:"11,keyasint,omitempty"`
}

// BuiltPackage is gotest.Ready as the host has it.
type BuiltPackage struct {
	Package   string        `cbor:"1,keyasint"`
	Digest    []byte        `cbor:"2,keyasint"`
	Name      string        `cbor:"3,keyasint"`
	Binary    string        `cbor:"4,keyasint"` // path on the host
	Args      []string      `cbor:"5,keyasint"`
	Dir       string        `cbor:"6,keyasint"`
	Env       []string      `cbor:"7,keyasint"`
	CoverMeta string        `cbor:"8,keyasint,omitempty"`
	Tests     []gotest.Item `cbor:"9,keyasint,omitempty"`
	Known     bool          `cbor:"10,keyasint,omitempty"` // Tests is all, though it may be empty
}

// BuildEnd is how a build ended.
type BuildEnd struct {
	Error string             `cbor:"1,keyasint,omitempty"` // why nothing more can be built
	Build *gotest.BuildError `cbor:"2,keyasint,omitempty"` // the go command failed and named no package
}

// Err is the error that the host has met, or nil.
func (e *BuildEnd) Err() error {
	switch {
	case e.Build != nil:
		return e.Build
	case e.Error != "":
		return errors.New(e.Error)
	}
	return nil
}

// ListedPart is how many packages go into one report. One with a thousand tests takes some 50 KB,
// far below the gateway's limit for an item.
const ListedPart = 100

// BuiltOf is the message for a package that this host has made ready.
func BuiltOf(r gotest.Ready) *BuiltPackage {
	return &BuiltPackage{
		Package: r.Package, Digest: r.Digest[:], Name: r.Name, Binary: r.Binary, Args: r.Args, Dir: r.Dir, Env: r.Env, CoverMeta: r.CoverMeta,
		Tests: r.Tests, Known: r.Tests != nil,
	}
}

// Ready is the package for the controller. host is the token of the host that has built it. A path
// whose last element is no name is an error: it becomes one in the controller's own directories.
func (b *BuiltPackage) Ready(host string) (gotest.Ready, error) {
	r := gotest.Ready{
		Package: b.Package, Name: b.Name, Binary: b.Binary, Args: b.Args, Dir: b.Dir, Env: b.Env, CoverMeta: b.CoverMeta, Tests: b.Tests, Host: host,
	}
	if b.Known && r.Tests == nil {
		r.Tests = []gotest.Item{}
	}
	if len(b.Digest) != len(store.Digest{}) {
		return r, errors.New("digest of another length")
	}
	copy(r.Digest[:], b.Digest)
	if !endsInName(b.Binary) {
		return r, fmt.Errorf("the path of its binary ends in no name: %q", b.Binary)
	}
	if b.CoverMeta != "" && !endsInName(b.CoverMeta) {
		return r, fmt.Errorf("the path of its coverage data ends in no name: %q", b.CoverMeta)
	}
	return r, nil
}

// endsInName reports whether the last element of a path is a name here.
func endsInName(path string) bool {
	_, name := LastElement(path)
	return filepath.IsLocal(name) && name != "."
}

// LastElement splits a path of a host of any platform at its last element.
func LastElement(path string) (dir, name string) {
	i := strings.LastIndexAny(path, `/\`)
	return path[:max(i, 0)], path[i+1:]
}

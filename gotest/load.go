package gotest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gotest/store"
	"github.com/xdist-go/xdist/gotest/test2json"
)

// LoadConfig says which packages a run tests. All of the first group must be set; the zero Platform
// is the toolchain's own choice.
type LoadConfig struct {
	Command   *Command
	Platform  Platform
	Toolchain Toolchain // that of the platform
	Store     *store.Store
	Claim     *store.Run // on the binaries that the run uses
	RunID     string
	RunDir    string
	Handoff   []string // see BuildConfig

	Go  string   // the go command; "" is "go"
	Env []string // of the go command, without what is for the platform; nil is os.Environ()
	Dir string   // where the go command starts, before -C; "" is the current directory

	// NeedCgo makes packages that are there with cgo only an error, *NoCgoError, where the
	// toolchain has it off.
	NeedCgo bool

	// Select, when it is not nil, is given the collection and returns the packages and items that
	// the run is to have. It may change what the slices hold. With Narrow it may leave packages and
	// items out, as parts of the suite that somebody else runs: nothing is said of them, and
	// nothing is built before it is known which they are.
	Select func([]Package) ([]Package, error)
	Narrow bool
}

type (
	// Listed is the collection: what the sources say there is to run.
	Listed struct {
		Packages []Package
		Shards   string // how the suite was divided, of which this is a part: the same text in each job of one division; "" when it is whole
		LeftOut  int    // tests that Select has left out and that nobody else runs
	}
	// Profile is what the go command itself wrote to -coverprofile: the blocks of packages without
	// test files.
	Profile struct{ Text []byte }
	// Warning is something the user should know of that stops nothing.
	Warning struct{ Text string }
)

func (Listed) buildEvent()  {}
func (Profile) buildEvent() {}
func (Warning) buildEvent() {}

// Load collects the packages of a run and makes their binaries: from the store where it has them,
// by Build otherwise. It calls emit from one goroutine at a time, with one Listed first, then as
// packages become ready, and at last with the Profile, if there is one.
//
// Linking is most of what a second run costs, and cmd/go does not keep what it links. So the store
// remembers, by everything that goes into a link, which binary came of it and that vet had nothing
// to say. Asking for these keys means compiling whatever is new before the first link; a module of
// which the store knows nothing is therefore built at once, with the collection going on beside it.
// The keys of what was built come from the go command's own account of the build.
func Load(ctx context.Context, cfg LoadConfig, emit func(BuildEvent)) error {
	l := &loader{cfg: cfg, emit: emit, built: make(map[string]builtPackage), needsCgo: make(map[string]bool), began: time.Now()}
	var err error
	if l.cfg.Command, err = cfg.Command.For(cfg.Platform, cfg.Toolchain.GOFLAGS); err != nil {
		return err
	}
	l.cfg.RunDir = cfg.Platform.RunDir(cfg.RunDir)
	if err := os.MkdirAll(l.cfg.RunDir, 0o700); err != nil {
		return fmt.Errorf("prepare the build: %w", err)
	}
	if l.env, err = buildEnv(l.cfg.RunDir, cfg.Platform.Environ(cfg.Env), l.cfg.Command.Work); err != nil {
		return err
	}
	err = l.load(ctx)
	return cmp.Or(err, l.profile())
}

func (l *loader) load(ctx context.Context) error {
	if l.cfg.Command.keepable() {
		if _, ok := l.cfg.Store.GetRecord(l.suiteKey()); ok {
			return l.loadKnown(ctx)
		}
	}
	if l.cfg.Narrow {
		return l.loadPart(ctx)
	}
	return l.loadNew(ctx)
}

// profile emits what the go command has written to -coverprofile. A build that was cut short may
// not have come to that.
func (l *loader) profile() error {
	text, err := os.ReadFile(coverProfileFile(l.cfg.RunDir))
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return fmt.Errorf("read the cover profile of go test: %w", err)
	}
	l.emit(Profile{text})
	return nil
}

type loader struct {
	cfg   LoadConfig
	env   []string // of the go command
	emit  func(BuildEvent)
	began time.Time
	built map[string]builtPackage // what this run built, by import path

	rest     *rest           // what Select has left out
	nothing  bool            // every package is Excluded
	needsCgo map[string]bool // packages some of whose files are left out, by import path; both are set before the first event of a build
}

// builtPackage is what the go command made of a package.
type builtPackage struct {
	record
	main string // see Ready
}

// loadKnown looks every package up before it builds the rest.
func (l *loader) loadKnown(ctx context.Context) error {
	listing, err := l.list(ctx, true)
	if err != nil {
		return err
	}
	if listing.Stderr != "" {
		l.emit(Stderr{listing.Stderr}) // loadNew hears it from go test too
	}
	if err := l.listed(listing); err != nil {
		return err
	}
	var missing []string
	for _, p := range listing.Packages {
		if !l.rest.has(p.ImportPath) && !l.lookUp(ctx, p) {
			missing = append(missing, p.ImportPath)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err = l.build(ctx, missing, func() bool { return true })
	if err == nil && len(l.built) > 0 {
		l.keep(ctx, listing)
	}
	return err
}

// loadNew builds everything while the collection is made.
func (l *loader) loadNew(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var listing *Listing // the receiver from listedc may read it
	listedc := make(chan error, 1)
	go func() {
		var err error
		if listing, err = l.list(ctx, false); err == nil {
			err = l.listed(listing)
		}
		if err != nil {
			cancel(err)
		}
		listedc <- err
		close(listedc)
	}()
	var listErr error
	known := false
	err := l.build(ctx, nil, func() bool {
		if !known {
			listErr, known = <-listedc, true
		}
		return listErr == nil
	})
	if !known {
		listErr = <-listedc
	}
	if listErr != nil {
		return listErr
	}
	if l.nothing {
		return nil // the go command calls that a failure
	}
	if err != nil || !l.cfg.Command.keepable() || len(l.built) == 0 {
		return err
	}
	l.keep(ctx, listing)
	return nil
}

// loadPart builds what Select leaves of the collection.
func (l *loader) loadPart(ctx context.Context) error {
	listing, err := l.list(ctx, false)
	if err != nil {
		return err
	}
	if err := l.listed(listing); err != nil {
		return err
	}
	var mine []string // nil for the patterns, which can be files and have no import path then
	left := 0
	for _, p := range listing.Packages {
		if !l.rest.has(p.ImportPath) {
			mine = append(mine, p.ImportPath)
			left++
		}
	}
	if left == 0 || l.nothing {
		return nil
	}
	if left == len(listing.Packages) {
		mine = nil
	}
	err = l.build(ctx, mine, func() bool { return true })
	if err == nil && l.cfg.Command.keepable() && len(l.built) > 0 {
		l.keep(ctx, listing)
	}
	return err
}

// buildEnv is the environment of the go command. Its work directory is in the run's, unless the
// user has chosen another or wants to keep it: a go command that is interrupted early, or killed
// along with xdist, leaves it behind. So does a C compiler with its files in TMPDIR.
func buildEnv(runDir string, env []string, keep bool) ([]string, error) {
	if keep || os.Getenv("GOTMPDIR") != "" {
		return env, nil
	}
	dir := filepath.Join(runDir, "go-tmp")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("prepare the build: %w", err)
	}
	return append(env, "GOTMPDIR="+dir, "TMPDIR="+dir), nil
}

func (l *loader) list(ctx context.Context, export bool) (*Listing, error) {
	return List(ctx, ListConfig{
		Command: l.cfg.Command, Go: l.cfg.Go, Env: l.env, Dir: l.cfg.Dir, GOROOT: l.cfg.Toolchain.GOROOT, Export: export,
		Cross: l.cfg.Toolchain.Cross() || l.cfg.NeedCgo && l.cfg.Toolchain.CGO_ENABLED != "1",
	})
}

func (l *loader) listed(listing *Listing) error {
	for _, w := range listing.Warnings {
		l.emit(Warning{w})
	}
	if err := l.cfg.Command.CheckPackages(len(listing.Packages)); err != nil {
		return err
	}
	l.nothing = len(listing.Packages) == 0
	for _, p := range listing.Packages {
		if p.NeedsCgo {
			l.needsCgo[p.ImportPath] = true
		}
	}
	packages := slices.Concat(listing.Packages, listing.Excluded)
	if l.cfg.Select != nil {
		selected, err := l.cfg.Select(slices.Clone(packages))
		if err != nil {
			return err
		}
		l.rest = restOf(packages, selected)
		for i := range selected {
			selected[i].Partial = l.rest.partOf(selected[i].ImportPath)
		}
		packages = selected
	}
	l.emit(Listed{Packages: packages})
	if l.cfg.NeedCgo && len(listing.Excluded) > 0 {
		return newNoCgoError(listing.Excluded)
	}
	for _, p := range listing.Excluded {
		if l.rest.has(p.ImportPath) {
			continue
		}
		l.emit(Reported{Package: p.ImportPath, Events: excludedEvents(p.ImportPath), Excluded: needsCgo})
	}
	return nil
}

// build runs Build on packages, or on the command's patterns when there are none. The events wait
// for listed, which says whether there is anybody to take them.
func (l *loader) build(ctx context.Context, packages []string, listed func() bool) error {
	cfg := BuildConfig{
		Command: l.cfg.Command, Go: l.cfg.Go, Env: l.env, Dir: l.cfg.Dir, Packages: packages, Store: l.cfg.Store, RunID: l.cfg.RunID, RunDir: l.cfg.RunDir,
		Handoff: l.cfg.Handoff, Actions: l.actionsFile(),
	}
	return Build(ctx, cfg, func(e BuildEvent) {
		if !listed() {
			return
		}
		switch e := e.(type) {
		case Ready:
			l.ready(ctx, e)
			return
		case Reported:
			if noTestFiles(e) {
				l.built[e.Package] = builtPackage{}
			} else if l.needsCgo[e.Package] {
				l.emit(Warning{fmt.Sprintf("%s: some of its code %s", e.Package, needsCgo)})
			}
		}
		l.emit(e)
	})
}

func (l *loader) ready(ctx context.Context, r Ready) {
	tests, err := l.cfg.Command.Filter(r.Tests)
	if err == nil {
		r.Tests = l.rest.leaves(r.Package, tests)
		r.Binary, err = l.cfg.Claim.Binary(ctx, r.Digest, r.Name)
	}
	if err != nil {
		l.emit(Reported{Package: r.Package, Events: setupFailed(r.Package, err.Error())})
		return
	}
	l.built[r.Package] = builtPackage{record{r.Digest, r.Name, time.Now()}, r.main}
	l.emit(r)
}

// setupFailed are the events of a package that xdist itself could not get to run.
func setupFailed(path, why string) []test2json.Event {
	now, zero := time.Now(), 0.0
	return []test2json.Event{
		{Time: now, Action: test2json.ActionStart, Package: path},
		{Time: now, Action: test2json.ActionOutput, Package: path, Output: "xdist: " + why + "\n"},
		{Time: now, Action: test2json.ActionOutput, Package: path, Output: "FAIL\t" + path + " [setup failed]\n"},
		{Time: now, Action: test2json.ActionFail, Package: path, Elapsed: &zero},
	}
}

func noTestFiles(r Reported) bool {
	last := r.Events[len(r.Events)-1]
	return last.Action == test2json.ActionSkip
}

// record is what the store keeps of a package under its link key.
type record struct {
	Digest  store.Digest
	Name    string    // of the binary; "" for a package without test files, which has been built and vetted only
	Checked time.Time // when the content was last compared with the digest
}

// checkEvery is how often the content of a binary is compared with its digest: a loss of power may
// leave a file of the right size and the wrong content.
const checkEvery = 24 * time.Hour

// lookUp emits what the store knows of p and reports whether it knew it.
func (l *loader) lookUp(ctx context.Context, p Package) bool {
	if p.LinkKey == "" || p.Err != "" {
		return false
	}
	data, ok := l.cfg.Store.GetRecord("link:" + p.LinkKey)
	var rec record
	if !ok || json.Unmarshal(data, &rec) != nil {
		return false
	}
	if rec.Name == "" {
		if !p.NoTestFiles {
			return false
		}
		now, zero := time.Now(), 0.0
		l.emit(Reported{Package: p.ImportPath, Events: []test2json.Event{
			{Time: now, Action: test2json.ActionStart, Package: p.ImportPath},
			{Time: now, Action: test2json.ActionOutput, Package: p.ImportPath, Output: fmt.Sprintf("?   \t%s\t[no test files]\n", p.ImportPath)},
			{Time: now, Action: test2json.ActionSkip, Package: p.ImportPath, Elapsed: &zero},
		}})
		return true
	}
	path, err := l.cfg.Claim.Binary(ctx, rec.Digest, rec.Name)
	if err != nil || !l.check(ctx, p, rec) {
		return false // pruned, or damaged: it is built again
	}
	l.emit(Ready{Package: p.ImportPath, Digest: rec.Digest, Name: rec.Name, Binary: path, Args: l.cfg.Command.TestArgs, Dir: p.Dir, Env: l.cfg.Toolchain.testEnv()})
	return true
}

// check compares the content of a binary with its digest when that was not done for a day.
func (l *loader) check(ctx context.Context, p Package, rec record) bool {
	if age := time.Since(rec.Checked); age >= 0 && age < checkEvery {
		return true
	}
	right, err := l.cfg.Claim.Check(ctx, rec.Digest)
	if err != nil {
		return true // the end of the run: nobody uses it
	}
	if !right {
		l.emit(Warning{damagedText(p.ImportPath)})
		return false
	}
	rec.Checked = time.Now()
	if data, err := json.Marshal(rec); err == nil {
		l.cfg.Store.PutRecord("link:"+p.LinkKey, data) // in vain at worst: the next run checks again
	}
	return true
}

func damagedText(path string) string {
	return path + ": its test binary is damaged in the store, as after a loss of power; building it again"
}

// actionsFile is where the go command accounts for the build; "" where the user asks for that
// account himself, or the binaries are not kept.
func (l *loader) actionsFile() string {
	c := l.cfg.Command
	if !c.keepable() || strings.Contains(l.cfg.Toolchain.GOFLAGS, actionsFlag) ||
		slices.ContainsFunc(c.BuildFlags, func(f string) bool { return strings.HasPrefix(f, actionsFlag) }) {
		return ""
	}
	return filepath.Join(l.cfg.RunDir, "actions.json")
}

// keyer returns the function that tells the link key of a package that was built, "" for none. The
// account that the go command gives of a build is not documented: without one a listing made now
// has the keys, which hold as long as no source has changed. That none can be had is no reason to
// fail the run: they are for the next one.
func (l *loader) keyer(ctx context.Context, listing *Listing) func(Package) string {
	if name := l.actionsFile(); name != "" {
		if acts, err := readActions(name); err == nil {
			return func(p Package) string { return listing.builtKey(p, l.built[p.ImportPath].main, acts, l.began) }
		}
	}
	listing, err := l.list(ctx, true)
	if err != nil || listing.inputs.linkerAsked {
		return func(Package) string { return "" }
	}
	keys := make(map[string]string, len(listing.Packages))
	for _, p := range listing.Packages {
		if !listing.ChangedSince(p, l.began) {
			keys[p.ImportPath] = p.LinkKey
		}
	}
	return func(p Package) string { return keys[p.ImportPath] }
}

// keep writes down which binary came of which link.
func (l *loader) keep(ctx context.Context, listing *Listing) {
	key := l.keyer(ctx, listing)
	for _, p := range listing.Packages {
		made, built := l.built[p.ImportPath]
		if !built {
			continue
		}
		k := key(p)
		if k == "" {
			continue
		}
		data, err := json.Marshal(made.record)
		if err == nil {
			err = l.cfg.Store.PutRecord("link:"+k, data)
		}
		if err != nil {
			l.emit(Warning{fmt.Sprintf("keep the test binary of %s for the next run: %v", p.ImportPath, err)})
			return
		}
	}
	if err := l.cfg.Store.PutRecord(l.suiteKey(), []byte{}); err != nil {
		l.emit(Warning{fmt.Sprintf("keep test binaries for the next run: %v", err)})
	}
}

// suiteKey marks that the store knows binaries of this directory and these build flags.
func (l *loader) suiteKey() string {
	c := l.cfg.Command
	sum := sha256.Sum256([]byte(strings.Join(append([]string{c.Dir, l.cfg.Toolchain.GOVERSION, l.cfg.Toolchain.GOFLAGS, l.cfg.Toolchain.Platform()}, c.BuildFlags...), "\x00")))
	return "suite:" + hex.EncodeToString(sum[:])
}

// keepable reports whether the binaries of a command can come from the store: it must be by the
// sources and the link flags alone what they are, and nothing but the binary may be wanted of the
// build.
func (c *Command) keepable() bool {
	if c.Cover || c.Fuzz != "" || c.Rebuild || c.PrintCommands || c.Output != "" || len(c.Profiles) > 0 || c.Overlay != "" {
		return false
	}
	if slices.ContainsFunc(c.Packages, func(p string) bool { return strings.HasSuffix(p, ".go") }) {
		return false // files have no import path to be built by
	}
	for _, f := range c.BuildFlags {
		if name, _, _ := strings.Cut(f, "="); name == "-work" || name == "-toolexec" || name == "-json" || name == "-linkshared" {
			return false
		}
	}
	return true
}

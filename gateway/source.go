package gateway

import (
	"context"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/gobuild"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// remoteHandler is the name under which a compiled source offers its function Remote.
const remoteHandler = "remote"

// RunSource compiles a Go source for the gateway's host, sends the program there, and starts it in
// a process of its own. It returns the channel to the source's function
//
//	func Remote(ctx context.Context, ch *gateway.Channel) error
//
// which is a handler as others are: its return ends the channel, its ctx ends with the channel.
// What Channel.Args returns there is args, encoded as an item. The channel is one of a gateway of
// its own: Refs of other gateways' channels mean nothing on it. The process ends with its channel,
// at the latest a second after it was closed here, and with gw. What it prints goes where gw's
// agent's standard error does.
//
// The source is the name of a file, such as "tasks/count.go", or the text of one file of any
// package, which may have a func main that is not used. It imports what the module may import in
// which that file lies, for a text the calling file, or that of Config.SourceDir; the module
// requires this one. A program that was built elsewhere, or with
// -trimpath, counts with its working directory. The source embeds no files and uses no cgo.
//
// The go command on PATH compiles it, with CGO_ENABLED=0. This takes seconds the first time; then
// the program is found in Config.CacheDir, which keeps those used last, half a GiB of them, until
// something has changed that it was made of. On the gateway's host it is kept under its
// digest, as agents are.
//
// Errors: *CompileError, whose text names the lines of the source by the file's name, those of a
// text as source.go, or by its own //line directives; as of Open for a start that fails; ctx's;
// ErrExited, *LostError. ctx bounds only the call.
func (gw *Gateway) RunSource(ctx context.Context, source string, args any) (*Channel, error) {
	dir, err := gw.sourceDir()
	var ch *Channel
	if err == nil && isSourceName(source) {
		ch, err = gw.runFile(ctx, dir, source, args)
	} else if err == nil {
		ch, err = gw.runSource(ctx, dir, source, args)
	}
	if err != nil {
		return nil, fmt.Errorf("run source on gateway %s: %w", gw.ID(), err)
	}
	return ch, nil
}

// RunPackage is RunSource for the function Remote of a package: an import path, or a directory such
// as "./task" below Config.SourceDir or that of the calling file. The package is no command.
func (gw *Gateway) RunPackage(ctx context.Context, path string, args any) (*Channel, error) {
	dir, err := gw.sourceDir()
	var ch *Channel
	if err == nil {
		ch, err = gw.runPackage(ctx, dir, path, args)
	}
	if err != nil {
		return nil, fmt.Errorf("run package %s on gateway %s: %w", path, gw.ID(), err)
	}
	return ch, nil
}

// MainSource is the main function of the programs that RunSource makes. It serves one function and
// never returns.
func MainSource(remote func(ctx context.Context, ch *Channel) error) {
	if !InAgent() {
		fmt.Fprintln(os.Stderr, "this program is a source that gateway.RunSource has compiled, and is started by that alone")
		os.Exit(2)
	}
	Main(Handlers{remoteHandler: func(ctx context.Context, ch *Channel, _ Item) error {
		stop := context.AfterFunc(ctx, func() {
			time.Sleep(orphanWait) // in a process that has nothing else to do
			os.Exit(1)
		})
		defer stop()
		return remote(ctx, ch)
	}})
}

// CompileError says why a source could not be compiled.
type CompileError struct {
	Platform string // linux/arm64
	Text     string // what the compiler says, with the lines of the source
	Err      error  // how the go command ended
}

// Error implements error.
func (e *CompileError) Error() string { return "compile for " + e.Platform + ": " + e.Text }

// Unwrap returns the cause.
func (e *CompileError) Unwrap() error { return e.Err }

// sourceDir is where imports are resolved. It is called by what the user calls.
func (gw *Gateway) sourceDir() (string, error) {
	if dir := gw.group.cfg.SourceDir; dir != "" {
		return filepath.Abs(dir)
	}
	if _, file, _, ok := runtime.Caller(2); ok && filepath.IsAbs(file) {
		dir := filepath.Dir(file)
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
	}
	return os.Getwd()
}

const (
	// sourcePackage is the directory, below the one where imports are resolved, in which a source
	// is compiled. It need not exist.
	sourcePackage = "xdist-source"
	// sourceFile is the name of a source in it, and mainFile that of the rest of the program, whose
	// init is the last.
	sourceFile, mainFile = "source.go", "zz_main.go"
	// ownPath is the import path of this package.
	ownPath = "github.com/xdist-go/xdist/gateway"
	// mostSources is how many bytes of compiled sources are kept.
	mostSources = 512 << 20
)

// isSourceName reports whether a source is the name of its file. A text has more than one line.
func isSourceName(source string) bool {
	return strings.HasSuffix(source, ".go") && !strings.Contains(source, "\n")
}

// runFile is runSource for a file.
func (gw *Gateway) runFile(ctx context.Context, dir, name string, args any) (*Channel, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if gw.group.cfg.SourceDir == "" {
		if dir, err = filepath.Abs(filepath.Dir(name)); err != nil {
			return nil, err
		}
	}
	ch, err := gw.runSource(ctx, dir, string(text), args)
	if failed, ok := errors.AsType[*CompileError](err); ok {
		failed.Text = named(failed.Text, name)
	}
	return ch, err
}

// sourceName is the name that a source has for the compiler, and no other that ends so.
var sourceName = regexp.MustCompile(`(?m)(^|[^\w./\\-])` + regexp.QuoteMeta(sourceFile) + ":")

// named gives the source the name of its file in what the compiler says.
func named(text, name string) string {
	return sourceName.ReplaceAllStringFunc(text, func(found string) string {
		return strings.TrimSuffix(found, sourceFile+":") + name + ":"
	})
}

func (gw *Gateway) runSource(ctx context.Context, dir, source string, args any) (*Channel, error) {
	s, err := parseSource(source)
	if err != nil {
		return nil, err
	}
	entry := "main"
	if s.main {
		entry = "init" // before the source's own
	}
	rest := fmt.Sprintf("package main\n\nimport xdistgateway %q\n\n//line %s:%d\nfunc %s() { xdistgateway.MainSource(Remote) }\n", ownPath, s.file, s.remote, entry)
	return gw.runProgram(ctx, dir, map[string]string{sourceFile: s.text, mainFile: rest}, args)
}

func (gw *Gateway) runPackage(ctx context.Context, dir, name string, args any) (*Channel, error) {
	if name == "" || strings.ContainsAny(name, "\"\\\n`") {
		return nil, errors.New("this is no import path")
	}
	if name == "." || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") {
		var err error
		if name, err = importPath(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf("package main\n\nimport (\n\txdistgateway %q\n\n\txdisttask %q\n)\n\nfunc main() { xdistgateway.MainSource(xdisttask.Remote) }\n", ownPath, name)
	return gw.runProgram(ctx, dir, map[string]string{mainFile: text}, args)
}

// modLimit bounds a go.mod, in bytes.
const modLimit = 4 << 20

// importPath is that of the package in a directory.
func importPath(dir string) (string, error) {
	for up := dir; ; up = filepath.Dir(up) {
		mod, _ := ownfile.Read(filepath.Join(up, "go.mod"), modLimit) // most directories have none
		for line := range strings.Lines(string(mod)) {
			if words := strings.Fields(line); len(words) > 1 && words[0] == "module" {
				rel, err := filepath.Rel(up, dir)
				return path.Join(strings.Trim(words[1], "\"`"), filepath.ToSlash(rel)), err
			}
		}
		if up == filepath.Dir(up) {
			return "", fmt.Errorf("there is no go.mod in %s or above", dir)
		}
	}
}

// parsedSource is a source as it is compiled.
type parsedSource struct {
	text   string // of package main
	file   string // where Remote is, as the compiler names it
	remote int
	main   bool // it has a main of its own
}

// parseSource finds what there has to be in a source. What else is wrong with it the compiler
// tells.
func parseSource(source string) (s parsedSource, err error) {
	fset := token.NewFileSet()
	file := fset.AddFile(sourceFile, fset.Base(), len(source))
	var scan scanner.Scanner
	scan.Init(file, []byte(source), func(token.Position, string) {}, 0)
	s.text = source
	depth, before, function := 0, token.ILLEGAL, token.NoPos
	clause := false
	for {
		pos, tok, lit := scan.Scan()
		if tok == token.EOF {
			break
		}
		offset := file.Offset(pos)
		switch {
		case before == token.PACKAGE && tok == token.IDENT && !clause:
			clause = true
			s.text = buildable(source[:offset]) + "main" + source[offset+len(lit):]
		case before == token.FUNC && tok == token.IDENT && depth == 0 && lit == "main":
			s.main = true
		case before == token.FUNC && tok == token.IDENT && depth == 0 && lit == "Remote":
			function = pos
		case tok == token.LBRACE || tok == token.LPAREN || tok == token.LBRACK:
			depth++
		case tok == token.RBRACE || tok == token.RPAREN || tok == token.RBRACK:
			depth--
		}
		before = tok
	}
	if !clause {
		return s, errors.New("the source is no Go file: it has no package clause")
	}
	if !function.IsValid() {
		return s, errors.New("the source has no func Remote(ctx context.Context, ch *gateway.Channel) error")
	}
	at := file.Position(function)
	s.file, s.remote = at.Filename, at.Line
	return s, nil
}

// buildable takes what keeps a file out of builds from its head: a source is one that is named, as
// for go run.
func buildable(head string) string {
	var b strings.Builder
	for line := range strings.Lines(head) {
		if text := strings.TrimSpace(line); strings.HasPrefix(text, "//go:build ") || strings.HasPrefix(text, "// +build ") {
			line = strings.Replace(line, "//", "///", 1)
		}
		b.WriteString(line)
	}
	return b.String()
}

// runProgram compiles a program and runs its function.
func (gw *Gateway) runProgram(ctx context.Context, dir string, files map[string]string, args any) (*Channel, error) {
	if err := gw.n.gone(); err != nil {
		return nil, err
	}
	agent, err := gw.compile(ctx, dir, files)
	if err != nil {
		return nil, err
	}
	own, err := gw.startProgram(ctx, agent)
	if err != nil {
		return nil, err
	}
	ch, err := own.open(ctx, remoteHandler, args)
	if err != nil {
		own.Exit()
		return nil, err
	}
	ch.whenOver(own.Exit)
	return ch, nil
}

// compile returns a program for the gateway's host.
func (gw *Gateway) compile(ctx context.Context, dir string, files map[string]string) (Agent, error) {
	dirKept, err := gw.group.cfg.sourceCache()
	if err != nil {
		return Agent{}, fmt.Errorf("keep what is compiled: %w", err)
	}
	goos, goarch := gw.Info().GOOS, gw.Info().GOARCH
	kept := gobuild.Dir{Path: dirKept, Most: mostSources}
	p := gobuild.Program{
		Dir: dir, Package: sourcePackage, Files: files,
		Env:   append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch),
		Flags: []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w"},
	}
	if goos == "windows" {
		p.Suffix = ".exe"
	}
	name, ok := kept.Known(p)
	if !ok {
		_, pass, turnErr := gw.group.cfg.hosts.compiling.Take(ctx, goos+"/"+goarch)
		if turnErr != nil {
			return Agent{}, context.Cause(ctx)
		}
		defer pass()
		name, err = kept.Executable(ctx, p)
	}
	if failed, ok := errors.AsType[*gobuild.Error](err); ok {
		return Agent{}, &CompileError{goos + "/" + goarch, compilerText(failed), failed.Err}
	}
	if err != nil {
		return Agent{}, fmt.Errorf("compile for %s/%s: %w", goos, goarch, err)
	}
	digest, err := kept.Digest(name)
	return Agent{Path: name, Digest: digest, Args: []string{agentArgument}}, err
}

// sourceCache is the directory of compiled sources, which is made. Nobody else can write there.
func (cfg *Config) sourceCache() (string, error) {
	const name = "sources"
	if cfg.CacheDir == "" {
		return ownfile.UserCache(name)
	}
	dir, err := filepath.Abs(cfg.CacheDir)
	if err != nil {
		return "", err
	}
	return ownfile.MakeIn(dir, name)
}

// compilerText is what the go command complains about, without the names that are only ours.
func compilerText(e *gobuild.Error) string {
	var lines []string
	for line := range strings.Lines(e.Text) {
		if strings.HasPrefix(line, "# ") { // the package that it compiles
			continue
		}
		line = strings.TrimPrefix(line, "./")
		line = strings.ReplaceAll(line, sourcePackage+string(filepath.Separator), "")
		lines = append(lines, strings.TrimRight(line, "\r\n"))
	}
	if len(lines) == 0 {
		return e.Error()
	}
	return strings.Join(lines, "\n")
}

// startProgram starts a program beside the agent, and opens the gateway to it. That is no member of
// the group, and ends before gw does.
func (gw *Gateway) startProgram(ctx context.Context, agent Agent) (*Gateway, error) {
	g := gw.group
	spec, err := gw.programSpec()
	if err != nil {
		return nil, err
	}
	ctx, cancel := g.openTimeout(g.cfg.timed(ctx, spec.ID))
	defer cancel()
	l, err := gw.bringProgram(ctx, agent)
	if err != nil {
		return nil, err
	}
	own, err := g.begin(ctx, spec, l)
	if err != nil {
		return nil, err
	}
	if !g.attend(own) {
		own.Exit()
		<-own.Done()
		return nil, errTerminated
	}
	return own, nil
}

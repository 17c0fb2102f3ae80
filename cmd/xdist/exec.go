package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist"
	"github.com/xdist-go/xdist/agents"
	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/ownfile"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/xspec"
)

func execCommand() *cli.Command {
	flags := slices.DeleteFunc(hostFlags(), func(f cli.Flag) bool { return f.Names()[0] == "mirror-dir" })
	return &cli.Command{
		Name:      "exec",
		Usage:     "run a command or a source on all gateways at once",
		UsageText: "xdist exec --tx SPEC... [--push FILE]... [--pull FILE]... [--json] -- COMMAND [ARGUMENT...]\n   xdist exec --tx SPEC... --python FILE | --go FILE",
		Description: "Each line that is written has its gateway's name in front. What the source sends over its channel is printed like that, too.\n" +
			"FILEs of --push go into the agents' directory (see chdir=) first; what matches a FILE of --pull, directories too, comes from there into ./GATEWAY/ at the end.\n" +
			"A last line on standard error, or object of --json, sums up: xdist: 7 ok, 1 failed: b (exit 1).\n" +
			"The exit status is 0 when all commands ended with 0, 1 when one did not or a file was not pulled, and 5 when a gateway could not be opened or was lost.",
		HideHelpCommand: true,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "python", Usage: "run the Python source in `FILE`, - is standard input, with a channel as py.execnet has it"},
			&cli.StringFlag{Name: "go", Usage: "compile the Go source in `FILE`, - is standard input, and run its func Remote(ctx context.Context, ch *gateway.Channel) error; its imports are those of FILE's module if that requires " + library + ", else of the standard library and package gateway"},
			&cli.StringSliceFlag{Name: "push", Usage: "copy `FILE` to all hosts first; may be repeated"},
			&cli.StringSliceFlag{Name: "pull", Usage: "copy `FILE`, whose last name may be a pattern, from all hosts at the end; may be repeated"},
			&cli.StringFlag{Name: "pull-limit", Usage: "copy nothing for a --pull from a host that has more than `SIZE` of it, such as 500M or 5G", Value: "1G"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object for each line, one for each end, and a last one that sums up"},
		}, flags, cacheFlags()),
		Action: execOnAll,
	}
}

// library is the module that a Go source imports package gateway from.
const library = "github.com/xdist-go/xdist"

// execution is what is to be done on each gateway.
type execution struct {
	command []string
	source  string // a text, or the name of a Go file; "" runs command
	isGo    bool   // source is Go; else it is Python
	dir     string // in whose module a Go source is compiled
	cache   string // where what was compiled is kept
	push    []pushed
	pull    []string
	limit   int64 // bytes of one pull
	out     *lines
}

// pushed is a file for all hosts. It is opened once: agents may have the directory that it is in.
type pushed struct {
	file *os.File
	info fs.FileInfo
}

func execOnAll(c *cli.Context) error {
	e, err := newExecution(c)
	if err != nil {
		return usageError(err)
	}
	defer e.close()
	open := newOpener(c, func(cfg *gateway.Config) { cfg.Stderr, cfg.SourceDir, cfg.CacheDir = c.App.ErrWriter, e.dir, e.cache })
	defer func() {
		if err := open.group.Terminate(context.WithoutCancel(c.Context), countEnd); err != nil {
			fmt.Fprintf(c.App.ErrWriter, "xdist: end the gateways: %v\n", err)
		}
	}()
	specs, err := xspec.Expand(c.StringSlice("tx"), open.cores)
	if err != nil {
		return usageError(err)
	}
	if err := open.openProxies(open.group); err != nil {
		return classify(err)
	}
	for i := range specs {
		if specs[i], err = open.group.Allocate(specs[i]); err != nil {
			return usageError(err)
		}
	}
	endings := make([]ending, len(specs))
	var all sync.WaitGroup
	for i, spec := range specs {
		all.Go(func() { endings[i] = e.on(c.Context, open.group, spec) })
	}
	all.Wait()
	worst := statusPassed
	for _, end := range endings {
		worst = max(worst, end.status)
	}
	if c.Context.Err() != nil {
		worst = statusInterrupted
	}
	e.out.sum(endings, worst)
	if e.out.err != nil {
		return &endedError{statusInternal, e.out.err}
	}
	if worst != statusPassed {
		return &endedError{worst, nil}
	}
	return nil
}

func newExecution(c *cli.Context) (*execution, error) {
	e := &execution{
		command: c.Args().Slice(), pull: c.StringSlice("pull"),
		out: &lines{out: c.App.Writer, errOut: c.App.ErrWriter, json: c.Bool("json")},
	}
	name := c.String("python")
	if file := c.String("go"); file != "" && name != "" {
		return nil, fmt.Errorf("xdist exec: run %s or %s? One of them at a time", name, file)
	} else if file != "" {
		name, e.isGo = file, true
	}
	switch {
	case len(c.StringSlice("tx")) == 0:
		return nil, errors.New("xdist exec: on which hosts? Name them by --tx SPEC")
	case name == "" && len(e.command) == 0:
		return nil, errors.New("xdist exec: run what? Give a command behind --, or a source by --python FILE or --go FILE")
	case name != "" && len(e.command) > 0:
		return nil, fmt.Errorf("xdist exec: run %s or %s? One of them at a time", name, e.command[0])
	}
	if err := e.copies(c); err != nil {
		e.close()
		return nil, fmt.Errorf("xdist exec: %w", err)
	}
	if name == "" {
		return e, nil
	}
	var err error
	if e.isGo {
		if e.cache, _, err = cachePlace(c); err != nil {
			return e, err
		}
	}
	if e.isGo && name != "-" {
		e.source = name
		if _, err = os.Stat(name); err == nil && filepath.Ext(name) != ".go" {
			err = fmt.Errorf("xdist exec: %s: Go sources have names that end in .go", name)
		}
		if err == nil {
			e.dir, err = sourceDir(filepath.Dir(name), e.cache)
		}
		return e, err
	}
	var text []byte
	if name == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(name)
	}
	e.source = string(text) + "\n"
	if err == nil && e.isGo {
		e.dir, err = sourceDir(".", e.cache)
	}
	return e, err
}

// copies makes --push and --pull ready.
func (e *execution) copies(c *cli.Context) (err error) {
	if e.limit, err = parseSize("pull-limit", c.String("pull-limit")); err != nil {
		return err
	}
	for _, name := range c.StringSlice("push") {
		f, err := ownfile.Open(name)
		if err != nil {
			return fmt.Errorf("push: %w", err)
		}
		info, err := f.Stat()
		e.push = append(e.push, pushed{f, info})
		if err != nil {
			return fmt.Errorf("push: %w", err)
		}
	}
	for _, name := range e.pull {
		if _, err := path.Match(name, ""); err != nil || !filepath.IsLocal(name) {
			return fmt.Errorf("pull %s: %w", name, cmp.Or(err, errors.New("it is not below the agents' directory (see chdir=)")))
		}
	}
	return nil
}

func (e *execution) close() {
	for _, f := range e.push {
		f.file.Close() // it was only read
	}
}

// sourceDir is where a Go source below dir is compiled: there, when its module has package gateway,
// or else where this program's own sources are, below the cache directory.
func sourceDir(dir, cache string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for up := dir; ; up = filepath.Dir(up) {
		mod, err := ownfile.Read(filepath.Join(up, "go.mod"), settingsLimit)
		if err == nil && bytes.Contains(mod, []byte(library)) {
			return dir, nil
		}
		if err == nil || up == filepath.Dir(up) {
			break
		}
	}
	return agents.Unpack(xdist.Sources(), filepath.Join(cache, "sources"))
}

// on does all of it on one gateway, and tells how that ended.
func (e *execution) on(ctx context.Context, g *gateway.Group, spec xspec.Spec) ending {
	gw, err := g.OpenSpec(ctx, spec)
	if err == nil {
		for _, f := range e.push {
			err = errors.Join(err, gw.WriteFileFrom(ctx, f.info.Name(), io.NewSectionReader(f.file, 0, f.info.Size()), f.info.Mode().Perm()))
		}
	}
	if err != nil {
		return e.out.end(ending{spec.ID, statusInternal, err})
	}
	run := e.runCommand
	if e.source != "" {
		run = e.runSource
	}
	err = run(ctx, gw)
	for _, name := range e.pull {
		if ctx.Err() != nil {
			break
		}
		if pullErr := e.bring(ctx, gw, name); pullErr != nil {
			err = errors.Join(err, fmt.Errorf("pull %s: %w", name, pullErr))
		}
	}
	_, lost := errors.AsType[*gateway.LostError](err)
	switch {
	case err == nil:
		return e.out.end(ending{spec.ID, statusPassed, nil})
	case lost:
		return e.out.end(ending{spec.ID, statusInternal, err})
	}
	return e.out.end(ending{spec.ID, statusFailed, err})
}

func (e *execution) runCommand(ctx context.Context, gw *gateway.Gateway) error {
	cmd := gw.Command(ctx, e.command[0], e.command[1:]...)
	out, errOut := e.out.stream(gw.ID(), "stdout"), e.out.stream(gw.ID(), "stderr")
	defer out.flush()
	defer errOut.flush()
	cmd.Stdout, cmd.Stderr = out, errOut
	return cmd.Run()
}

func (e *execution) runSource(ctx context.Context, gw *gateway.Gateway) error {
	var ch *gateway.Channel
	var err error
	if e.isGo {
		ch, err = gw.RunSource(ctx, e.source, nil)
	} else {
		ch, err = gw.RunScript(ctx, "", e.source, nil)
	}
	if err != nil {
		return err
	}
	defer ch.Close()
	for v, err := range gateway.All[any](ctx, ch) {
		if err != nil {
			return err
		}
		text, ok := v.(string)
		if !ok {
			text = fmt.Sprint(v)
		}
		e.out.line(gw.ID(), "channel", text)
	}
	return nil
}

// bring copies what matches a name below the agent's directory to the directory that is named like
// the gateway.
func (e *execution) bring(ctx context.Context, gw *gateway.Gateway, name string) error {
	opts := rsync.PullOptions{Limit: e.limit}
	name = path.Clean(filepath.ToSlash(name))
	if name != "." {
		opts.Match = []string{"/" + path.Base(name)}
	}
	r, err := rsync.Pull(ctx, gw, path.Dir(name), gw.ID(), opts)
	if err == nil && r.Entries == 0 {
		err = fs.ErrNotExist
	}
	if errors.Is(err, rsync.ErrFetchLimit) {
		err = fmt.Errorf("%w; raise --pull-limit", err)
	}
	return errors.Join(err, errors.Join(r.Warnings...))
}

// lines prints what comes from all gateways, line by line. Its methods may be called concurrently.
type lines struct {
	out, errOut io.Writer
	json        bool

	mu  sync.Mutex // guards the field below, and the writers
	err error      // the first of writing
}

// execLine is a line of --json.
type execLine struct {
	Gateway string  `json:"gateway"`
	Stream  string  `json:"stream,omitempty"` // stdout, stderr or channel
	Line    *string `json:"line,omitempty"`
	Status  *int    `json:"status,omitempty"` // of the end: the command's, or xdist's for what has none
	Error   string  `json:"error,omitempty"`
}

func (l *lines) print(e execLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to, text := l.out, ""
	switch {
	case l.json:
		text = encoded(e)
	case e.Line != nil:
		text = e.Gateway + ": " + *e.Line
		if e.Stream == "stderr" {
			to = l.errOut
		}
	case e.Error == "":
		return
	default:
		to, text = l.errOut, fmt.Sprintf("xdist: %s: %s", e.Gateway, e.Error)
	}
	l.write(to, text)
}

// write is for who holds mu.
func (l *lines) write(to io.Writer, text string) {
	if _, err := fmt.Fprintln(to, text); err != nil && l.err == nil {
		l.err = err
	}
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(b)
}

func (l *lines) line(gateway, stream, text string) {
	l.print(execLine{Gateway: gateway, Stream: stream, Line: &text})
}

// end tells how an execution has ended.
func (l *lines) end(how ending) ending {
	code := int(how.status)
	e := execLine{Gateway: how.gateway, Status: &code}
	if how.err != nil {
		e.Error = how.err.Error()
	}
	if failed, ok := errors.AsType[*gateway.CommandError](how.err); ok {
		code = failed.Code
	}
	l.print(e)
	return how
}

// sum tells how all have ended.
func (l *lines) sum(all []ending, exit status) {
	text, summary := summarize(all, exit)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.json {
		l.write(l.out, encoded(summary))
		return
	}
	l.write(l.errOut, "xdist: "+text)
}

// stream makes lines of what is written to it.
func (l *lines) stream(gateway, name string) *lineStream {
	return &lineStream{lines: l, gateway: gateway, name: name}
}

type lineStream struct {
	lines         *lines
	gateway, name string
	rest          []byte // of a line that has no end yet
}

// longestLine is the size in bytes from which on a line is printed in parts.
const longestLine = 1 << 20

// Write implements io.Writer.
func (s *lineStream) Write(p []byte) (int, error) {
	s.rest = append(s.rest, p...)
	for {
		at := bytes.IndexByte(s.rest, '\n')
		if at < 0 && len(s.rest) < longestLine {
			return len(p), nil
		}
		next := at + 1
		if at < 0 {
			at, next = longestLine, longestLine
		}
		s.lines.line(s.gateway, s.name, strings.TrimSuffix(string(s.rest[:at]), "\r"))
		s.rest = s.rest[next:]
	}
}

// flush prints a last line that has no end.
func (s *lineStream) flush() {
	if len(s.rest) > 0 {
		s.lines.line(s.gateway, s.name, string(s.rest))
		s.rest = nil
	}
}

package rsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/xdist-go/xdist/gateway"
)

const (
	// FetchLimit is how many bytes of files one Fetch or Pull may find when its caller sets no
	// limit; of more it takes none.
	FetchLimit = 1 << 30
	// fetchEntries is the same for the number of files, directories and links.
	fetchEntries = 100_000
	// listAtMost bounds the list of what a host has, in bytes, and so the memory that it takes.
	listAtMost = 64 << 20
	// warningsAtMost bounds how many warnings of one kind a report has.
	warningsAtMost = 100
)

// ErrFetchLimit says that a host has more to give than a Fetch or Pull may take.
var ErrFetchLimit = errors.New("there is more than may be fetched")

// PullOptions say what Pull brings. The zero value brings all, and removes nothing.
type PullOptions struct {
	// Match are patterns, as in [Source.Ignore], of what is brought; nil is all. A directory that
	// matches is brought with all that is in it.
	Match []string
	// Delete removes what is here, matches, and is not there, before anything is brought. A
	// directory of Git's stays, and what is not brought.
	Delete bool
	// Limit is how many bytes of files there may be on the host, 0 means [FetchLimit].
	Limit int64
	// Entries is how many files, directories and links there may be, 0 means 100,000.
	Entries int
	// Patience is for how long the agent may say and take nothing; then Pull fails with ErrSilent.
	// 0 means five minutes, negative is for ever.
	Patience time.Duration
}

// PullReport tells what a Pull has done.
type PullReport struct {
	Entries  int      // files, directories and links of the host that match
	Bytes    int64    // of its files
	Changed  []string // paths of what was made or changed here, with slashes
	Removed  []string
	Warnings []error // what was left out; at most 100
}

// Pull makes local, which is made when it is missing, hold what is in a directory on the gateway's
// host: files, directories and links, and of the files only those that differ are sent. More than
// the options allow is an error that wraps ErrFetchLimit, and nothing is brought or removed then.
//
// Nothing is written outside of local, whatever the agent says and whatever links local has, and
// nothing in a directory of Git's. A link that would lead out of local is left out, with a warning.
// Permissions are kept but for those that the umask denies and the bits that give a file its
// owner's rights; directories stay writable for their owner. Times and owners are not kept. A file
// has its name when all of it has come. One that is written to meanwhile is an error, beside which
// the others come. No lock is taken.
func Pull(ctx context.Context, gw *gateway.Gateway, dir, local string, opts PullOptions) (PullReport, error) {
	return pull(ctx, gw, fetchArgs{Dir: dir, Patterns: opts.Match, Tree: true}, local, opts)
}

// pull is Pull and Fetch.
func pull(ctx context.Context, gw *gateway.Gateway, args fetchArgs, local string, opts PullOptions) (PullReport, error) {
	opts.Limit, opts.Entries = cmp.Or(opts.Limit, FetchLimit), cmp.Or(opts.Entries, fetchEntries)
	c := &catcher{fetchArgs: args, opts: opts}
	err := c.open(local)
	if err == nil {
		defer c.close()
		args.Version = version
		c.ch, err = openLine(ctx, gw, FetchHandler, args, opts.Patience)
	}
	if err == nil {
		defer c.ch.Close() // never fails for a channel of our own
		err = c.run(ctx)
	}
	if err != nil {
		err = fmt.Errorf("fetch files from %s on gateway %s: %w", args.Dir, gw, err)
	}
	return c.report, err
}

// remove removes what is here and not on the host, from the inside out.
func (c *catcher) remove(ctx context.Context) error {
	here, err := walkTree(ctx, c.root, nil, false)
	if err != nil {
		return err
	}
	stays := make(map[string]bool) // directories that something stays in
	at := len(c.entries)
	for n := len(here) - 1; n >= 0; n-- {
		f := &here[n]
		for at > 0 && comparePaths(c.entries[at-1].path, f.path) > 0 {
			at--
		}
		wanted := at > 0 && c.entries[at-1].path == f.path && c.entries[at-1].kind == f.kind
		if wanted || stays[f.path] || inGit(f.path) || !c.matches(f.path) {
			stays[path.Dir(f.path)] = true
			continue
		}
		if err := c.root.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.report.Removed = append(c.report.Removed, f.path)
	}
	return nil
}

// directory makes a directory, unless there is one, or a link to one.
func (c *catcher) directory(e *entry) error {
	if info, err := c.root.Stat(e.path); err == nil && info.IsDir() {
		return nil
	}
	if err := c.makeParents(e.path); err != nil {
		return err
	}
	if err := c.root.Mkdir(e.path, goMode(e.mode).Perm()|0o700); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory %q: something else is there, which PullOptions.Delete would replace: %w", e.path, err)
	} else if err != nil {
		return err
	}
	c.report.Changed = append(c.report.Changed, e.path)
	return nil
}

// link makes a symbolic link, unless it leads out.
func (c *catcher) link(e *entry, serial int) error {
	if err := c.makeParents(e.path); err != nil {
		return err
	}
	real, err := c.realDir(path.Dir(e.path))
	if err != nil {
		return err
	}
	target, ok := inside(e, real)
	if !ok {
		c.warn(fmt.Errorf("link %q is left out, since it would lead to %q", e.path, clip(e.link)))
		return nil
	}
	if there, err := c.root.Readlink(e.path); err == nil && there == target {
		return nil
	}
	temp := path.Join(path.Dir(e.path), tempName(sumOf([]byte(target)), serial))
	c.root.Remove(temp) // left by a fetch that was killed
	err = c.root.Symlink(target, temp)
	if err == nil {
		if err = c.root.Rename(temp, e.path); err != nil {
			c.root.Remove(temp) // the first error says more
		}
	}
	if err != nil {
		return err
	}
	c.report.Changed = append(c.report.Changed, e.path)
	return nil
}

// inside returns the target that a link in the directory real gets, and reports whether that is in
// the tree. It goes up no further than to the root, and not after it has gone down: what it went
// down by may be a link.
func inside(e *entry, real string) (target string, ok bool) {
	depth := 0
	if real != "." {
		depth = 1 + strings.Count(real, "/")
	}
	if e.rebase {
		return strings.Repeat("../", depth) + e.link, true
	}
	rest := e.link
	for up := 0; ; up++ {
		name, more, _ := strings.Cut(rest, "/")
		if name != ".." {
			break
		}
		if up == depth {
			return "", false
		}
		rest = more
	}
	rest = strings.TrimSuffix(rest, "/")
	return e.link, rest == "" && e.link != "" || rest == "." || checkPath(rest) == nil
}

func (c *catcher) warn(err error) {
	if len(c.report.Warnings) < warningsAtMost {
		c.report.Warnings = append(c.report.Warnings, err)
	}
}

// makeParents makes the directories that lead to a path, and refuses one that is Git's.
func (c *catcher) makeParents(p string) error {
	dir := path.Dir(p)
	if dir == c.parents {
		return nil
	}
	if err := c.root.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	real, err := c.realDir(dir)
	if err != nil {
		return err
	}
	if inGit(real) {
		return fmt.Errorf("%q leads into a directory of Git's", p)
	}
	c.parents = dir
	return nil
}

// open makes the destination ready.
func (c *catcher) open(local string) (err error) {
	if c.wanted, err = newIgnore(c.Patterns); err != nil {
		return err
	}
	if err := os.MkdirAll(local, 0o777); err != nil {
		return err
	}
	c.root, err = os.OpenRoot(local)
	if err == nil {
		c.codec = newCodec()
	}
	return err
}

func (c *catcher) close() {
	c.root.Close()
	c.codec.close()
}

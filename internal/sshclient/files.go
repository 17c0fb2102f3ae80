package sshclient

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/kevinburke/ssh_config"

	"github.com/xdist-go/xdist/internal/cmdline"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// files reads ssh's files of configuration for one target, where there is no ssh to ask. It
// decides which lines apply. The library reads those.
type files struct {
	target   Target
	settings settings
	home     string

	again  bool     // Match final wants the files to be read once more
	final  bool     // they are read once more
	passed []string // lines that only ssh can decide
}

// includesAtMost is how deep files may include each other, as in ssh.
const includesAtMost = 16

// accumulates are the keywords whose every value counts. Of others it is the first.
var accumulates = map[string]bool{"identityfile": true, "certificatefile": true}

// readFiles reads the file that the target names, or the user's and the system's.
func readFiles(t Target) (*files, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, fmt.Errorf("find the home directory for ssh: %w", err)
	}
	f := &files{target: t, settings: make(settings), home: home}
	for keyword, values := range t.all() {
		for _, v := range values {
			f.put(keyword, v)
		}
	}
	if err = f.readAll(); err == nil && f.again {
		f.final = true
		err = f.readAll()
	}
	if how := strings.ToLower(f.first("canonicalizehostname")); how != "" && how != "no" && how != "none" {
		f.pass("CanonicalizeHostname " + how)
	}
	f.settings["hostname"] = []string{f.hostname()}
	return f, err
}

// readAll reads the files in their order.
func (f *files) readAll() error {
	user := configFile{name: filepath.Join(f.home, ".ssh", "config"), dir: filepath.Join(f.home, ".ssh"), own: true}
	system := configFile{name: "/etc/ssh/ssh_config", dir: "/etc/ssh"}
	if runtime.GOOS == "windows" {
		system.dir = filepath.Join(os.Getenv("PROGRAMDATA"), "ssh")
		system.name = filepath.Join(system.dir, "ssh_config")
	}
	files := []configFile{user, system}
	switch {
	case strings.EqualFold(f.target.ConfigFile, "none"):
		return nil
	case f.target.ConfigFile != "":
		files = []configFile{{name: expandHome(f.target.ConfigFile, f.home), dir: user.dir}}
	}
	for _, file := range files {
		active := true
		err := f.read(file, &active)
		if err != nil && (f.target.ConfigFile != "" || !errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("read ssh configuration: %w", err)
		}
	}
	return nil
}

// configFile is a file of configuration that is about to be read.
type configFile struct {
	name  string
	dir   string // that names in Include are relative to
	own   bool   // it is the user's, and nobody else may write it
	depth int    // of Include
}

// read applies the lines of a file. active says whether the section applies that they begin in, and
// then that they end in.
func (f *files) read(file configFile, active *bool) error {
	content, err := readConfig(file)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(content), "\n") {
		if err := f.line(file, line, active); err != nil {
			return fmt.Errorf("%s line %d: %w", file.name, i+1, err)
		}
	}
	return nil
}

// readConfig reads a file that nobody else may write, if it is the user's own.
func readConfig(file configFile) ([]byte, error) {
	r, err := openFile(file.name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err == nil && file.own && othersMayWrite(info) {
		err = fmt.Errorf("%s belongs to somebody else, or others may write it (mode %04o): chmod go-w it", file.name, info.Mode().Perm())
	}
	if err != nil {
		return nil, err
	}
	return ownfile.ReadAll(r, fileLimit)
}

// line applies one line.
func (f *files) line(file configFile, line string, active *bool) error {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return nil
	}
	keyword, rest := cutKeyword(line)
	switch keyword {
	case "host":
		words, err := configWords(rest)
		*active = matchPatterns(f.target.host, words)
		return err
	case "match":
		words, err := configWords(rest)
		if err == nil {
			*active, err = f.matches(words, line)
		}
		return err
	}
	if !*active {
		return nil
	}
	if keyword == "include" {
		words, err := configWords(rest)
		if err != nil {
			return err
		}
		return f.include(file, words, active)
	}
	return f.setting(keyword, rest, line)
}

// setting notes the value in a line, which the library splits from blanks, quotes and comments.
func (f *files) setting(keyword, rest, line string) error {
	if keyword == "proxycommand" { // it is a shell's, with quotes and all
		f.put(keyword, rest)
		return nil
	}
	c, err := ssh_config.DecodeBytes([]byte(line))
	if err != nil {
		return err
	}
	for _, node := range c.Hosts[0].Nodes {
		if kv, ok := node.(*ssh_config.KV); ok {
			f.put(keyword, strings.TrimSpace(kv.Value))
		}
	}
	return nil
}

// cutKeyword splits a line into keyword and value, which blanks or an equals sign part.
func cutKeyword(line string) (keyword, value string) {
	i := strings.IndexAny(line, " \t=")
	if i < 0 {
		return strings.ToLower(line), ""
	}
	value = strings.TrimLeft(line[i:], " \t")
	value = strings.TrimPrefix(value, "=")
	return strings.ToLower(line[:i]), strings.TrimSpace(value)
}

// configWords splits a value at blanks outside of quotes, up to a comment.
func configWords(value string) ([]string, error) {
	words, err := cmdline.Split(value, false)
	if before, _, ok := strings.Cut(value, " #"); err != nil && ok { // quotes in a comment
		words, err = cmdline.Split(before, false)
	}
	if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "#") }); i >= 0 {
		words = words[:i]
	}
	if err == nil && len(words) == 0 {
		err = errors.New("the value is missing")
	}
	return words, err
}

// put notes a value, unless it comes too late. Of ProxyJump and ProxyCommand the first counts, but
// ProxyJump none leaves room for a ProxyCommand.
func (f *files) put(keyword, value string) {
	late := f.settings[keyword] != nil && !accumulates[keyword]
	switch keyword {
	case "proxyjump":
		late = late || f.settings["proxycommand"] != nil
	case "proxycommand":
		jump := f.first("proxyjump")
		late = late || jump != "" && !strings.EqualFold(jump, "none")
	}
	if !late && !slices.Contains(f.settings[keyword], value) {
		f.settings[keyword] = append(f.settings[keyword], value)
	}
}

func (f *files) first(keyword string) string {
	for _, v := range f.settings[keyword] {
		return unquote(v)
	}
	return ""
}

// hostname is the name to connect to, as far as it is known.
func (f *files) hostname() string {
	name := cmp.Or(f.first("hostname"), f.target.host)
	return strings.NewReplacer("%h", f.target.host, "%%", "%").Replace(name)
}

// include reads the files that the patterns name, as if they stood there.
func (f *files) include(file configFile, patterns []string, active *bool) error {
	if file.depth >= includesAtMost {
		return fmt.Errorf("files include each other more than %d deep", includesAtMost)
	}
	for _, p := range patterns {
		p = expandHome(p, f.home)
		if !filepath.IsAbs(p) {
			p = filepath.Join(file.dir, p)
		}
		names, err := filepath.Glob(p)
		if err != nil {
			return fmt.Errorf("include %q: %w", p, err)
		}
		for _, name := range names {
			section := *active
			err := f.read(configFile{name: name, dir: file.dir, own: file.own, depth: file.depth + 1}, &section)
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // a link that leads nowhere
				return err
			}
		}
	}
	return nil
}

// matches reports whether the conditions of a Match line hold.
func (f *files) matches(words []string, line string) (bool, error) {
	holds, known := true, true
	for len(words) > 0 {
		word, negated := strings.CutPrefix(words[0], "!")
		words = words[1:]
		what, value, given := strings.Cut(word, "=")
		what = strings.ToLower(what)
		alone := what == "all" || what == "final" || what == "canonical"
		if !alone && !given {
			if len(words) == 0 {
				return false, fmt.Errorf("condition %s of Match needs a value", what)
			}
			value, words = words[0], words[1:]
		}
		if decided, ok := f.condition(what, strings.Split(value, ",")); !ok {
			known = false
		} else if decided == negated {
			holds = false
		}
	}
	if holds && !known {
		f.pass(line)
	}
	return holds && known, nil
}

// condition decides one condition of a Match line, if it can.
func (f *files) condition(what string, patterns []string) (holds, ok bool) {
	switch what {
	case "all":
		return true, true
	case "final", "canonical":
		f.again = f.again || what == "final"
		return f.final, true
	case "host":
		for i, p := range patterns {
			patterns[i] = strings.ToLower(p)
		}
		return matchPatterns(strings.ToLower(f.hostname()), patterns), true
	case "originalhost":
		return matchPatterns(f.target.host, patterns), true
	case "user":
		return matchPatterns(cmp.Or(f.first("user"), localUser()), patterns), true
	case "localuser":
		return matchPatterns(localUser(), patterns), true
	}
	return false, false
}

// pass notes a line that only ssh can decide.
func (f *files) pass(line string) {
	if !slices.Contains(f.passed, line) {
		f.passed = append(f.passed, line)
	}
}

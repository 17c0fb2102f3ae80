package agents

import (
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// recipe is how the go command makes the running program once more.
type recipe struct {
	dir   string // of the package's sources
	tests bool   // the program is the test binary of the package
	flags []string
	env   []string // beside the user's
}

// recipeOf is the recipe of the program that info describes. caller is a function of it, in its
// main package or in the package whose test it is. info is nil for a program that was built without
// modules.
func recipeOf(caller runtime.Frame, info *debug.BuildInfo) (recipe, error) {
	r := recipe{dir: filepath.Dir(caller.File), flags: []string{"-trimpath", "-buildvcs=false"}}
	if info == nil {
		info = &debug.BuildInfo{}
	}
	// Only a program has a package main: that of a test is generated.
	if pkg := packageOf(caller.Function); pkg != "main" {
		if under := strings.TrimSuffix(info.Path, ".test"); under == "" || pkg != under && pkg != under+"_test" {
			return r, fmt.Errorf("agents.Self was called in package %s: call it in the program's main package, or in the package that is tested", pkg)
		}
		r.tests = true
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	// Empty flags have those of GOFLAGS not count.
	r.flags = append(r.flags, "-tags="+settings["-tags"], "-ldflags="+linkerFlags(settings["-ldflags"]))
	for _, key := range []string{"-gcflags", "-asmflags"} {
		if settings[key] != "" {
			r.flags = append(r.flags, key+"="+settings[key])
		}
	}
	for _, key := range []string{"GOEXPERIMENT", "GOFIPS140"} {
		if settings[key] != "" {
			r.env = append(r.env, key+"="+settings[key])
		}
	}
	return r, nil
}

// packageOf is the import path in the name of a function. The name has dots of the path's last
// element escaped.
func packageOf(function string) string {
	dir, name := path.Split(function)
	name, _, _ = strings.Cut(name, ".")
	return dir + strings.ReplaceAll(name, "%2e", ".")
}

// linkerFlags are those of the go command's -ldflags that say what a program is, and nothing of the
// platform that it is for or how it is linked there.
func linkerFlags(flags string) string {
	pattern := ""
	if i := strings.Index(flags, "="); i > 0 && !strings.HasPrefix(flags, "-") {
		pattern, flags = flags[:i+1], flags[i+1:] // of packages to which they apply
	}
	var kept []string
	for words := splitQuoted(flags); len(words) > 0; {
		name, _, hasValue := strings.Cut(strings.TrimLeft(words[0], "-"), "=")
		n := 1
		if !hasValue && !slices.Contains(linkerSwitches, name) && len(words) > 1 {
			n = 2 // its value is the next word
		}
		if slices.Contains(linkerKept, name) {
			kept = append(kept, words[:n]...)
		}
		words = words[n:]
	}
	if len(kept) == 0 {
		return ""
	}
	return pattern + joinQuoted(kept)
}

var (
	// linkerKept are the linker's flags that agents have, too: variables, what may be left out of a
	// program, and what has to be allowed for it to be linked at all.
	linkerKept = []string{"X", "s", "w", "buildid", "checklinkname"}
	// linkerSwitches are its flags that need no value, from go tool link -help.
	linkerSwitches = []string{
		"a", "asan", "aslr", "bindnow", "c", "checklinkname", "compressdwarf", "d", "debugnosplit", "debugtramp", "dumpdep", "e",
		"f", "g", "h", "linkshared", "msan", "n", "pruneweakmap", "race", "s", "v", "w",
	}
)

// splitQuoted splits flags as the go command does: at spaces, but for words that are in quotes of
// either kind. There are no escapes.
func splitQuoted(flags string) []string {
	var words []string
	for {
		flags = strings.TrimLeft(flags, " \t\r\n")
		if flags == "" {
			return words
		}
		quote, end := flags[:1], " \t\r\n"
		if quote == `"` || quote == "'" {
			flags, end = flags[1:], quote
		}
		i := strings.IndexAny(flags, end)
		if i < 0 {
			return append(words, flags)
		}
		words = append(words, flags[:i])
		flags = flags[i+1:]
	}
}

// joinQuoted undoes splitQuoted.
func joinQuoted(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quote := ""
		if w == "" || strings.ContainsAny(w, " \t\r\n'\"") {
			if quote = "'"; strings.Contains(w, "'") {
				quote = `"`
			}
		}
		quoted[i] = quote + w + quote
	}
	return strings.Join(quoted, " ")
}

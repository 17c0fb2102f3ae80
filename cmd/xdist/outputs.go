package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xdist-go/xdist/gotest"
)

// mirroredOutputs returns patterns of the files that go test itself would write below root, the
// root of the mirrored tree: profiles and artifacts come back to where go test puts them. What
// could not come back is a usage error, before anything starts.
func mirroredOutputs(command *gotest.Command, root string) ([]string, error) {
	if command.Fuzz != "" {
		return nil, usageError(errors.New("-fuzz works with files of the go command's cache, which other hosts do not have: use gateways of this machine only (--tx popen)"))
	}
	var patterns []string
	below := func(flag, path string) error {
		rel, err := filepath.Rel(root, path)
		if err != nil || !filepath.IsLocal(rel) {
			return usageError(fmt.Errorf("%s would write %s, and only what is below %s comes back from other hosts: choose another place, or use gateways of this machine only", flag, path, root))
		}
		patterns = append(patterns, quotePattern(filepath.ToSlash(rel)))
		return nil
	}
	for _, arg := range command.TestArgs {
		name, file, ok := strings.Cut(strings.TrimPrefix(arg, "-test."), "=")
		if !ok || !slices.Contains(command.Profiles, name) {
			continue
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(command.OutputDir, file)
		}
		if err := below("-"+name, file); err != nil {
			return nil, err
		}
	}
	if command.Artifacts {
		if err := below("-artifacts", filepath.Join(command.OutputDir, "_artifacts")); err != nil {
			return nil, err
		}
	}
	return patterns, nil
}

// quotePattern takes the meaning from what path.Match would take for a pattern.
func quotePattern(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

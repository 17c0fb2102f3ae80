package hosts

import (
	"path/filepath"
	"strings"
)

// Home returns what a path of the host is here, the inverse of Translate: a file or directory that
// is below the root of the tree, links resolved. For all else that a host can say it returns "".
func (h *Host) Home(m *Mirror, goos, path string) string {
	rel, ok := strings.CutPrefix(path, h.mirror)
	if !ok {
		return ""
	}
	if goos == "windows" {
		rel = strings.ReplaceAll(rel, `\`, "/")
	}
	if rel != "" && rel[0] != '/' {
		return "" // another directory, whose name begins likewise
	}
	here := filepath.Join(m.Source.Root, filepath.FromSlash(rel))
	root, err := filepath.EvalSymlinks(m.Source.Root)
	if err != nil {
		return ""
	}
	real, err := filepath.EvalSymlinks(here)
	if err != nil {
		return ""
	}
	if rel, err = filepath.Rel(root, real); err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return here
}

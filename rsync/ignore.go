package rsync

import (
	"fmt"
	"path"
	"strings"
)

// ignore is a list of patterns of [path.Match]. One without a slash is held against every name in a
// path, one with a slash against the path from the root, and against the path of each directory
// that leads to it.
type ignore []string

func newIgnore(patterns []string) (ignore, error) {
	var ig ignore
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("ignore %q: %w", p, err)
		}
		if p = strings.TrimSuffix(p, "/"); p != "" {
			ig = append(ig, p)
		}
	}
	return ig, nil
}

// matches reports whether something at this path is ignored.
func (ig ignore) matches(p string) bool {
	if len(ig) == 0 {
		return false
	}
	for end := 0; end < len(p); {
		start := end
		if n := strings.IndexByte(p[start:], '/'); n >= 0 {
			end += n
		} else {
			end = len(p)
		}
		if ig.match(p[start:end], p[:end]) {
			return true
		}
		end++ // the slash
	}
	return false
}

// match looks at one name, and at the path that ends with it.
func (ig ignore) match(name, p string) bool {
	for _, pattern := range ig {
		target := name
		if strings.Contains(pattern, "/") {
			target, pattern = p, strings.TrimPrefix(pattern, "/")
		}
		if ok, err := path.Match(pattern, target); ok && err == nil {
			return true
		}
	}
	return false
}

// leads reports whether something below the directory may match.
func (ig ignore) leads(dir string) bool {
	names := strings.Split(dir, "/")
	for _, pattern := range ig {
		if !strings.Contains(pattern, "/") {
			return true
		}
		parts := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
		n := min(len(parts), len(names))
		if ok, err := path.Match(strings.Join(parts[:n], "/"), strings.Join(names[:n], "/")); ok && err == nil {
			return true
		}
	}
	return false
}

// vcs are the names under which version control keeps its own files in a tree.
func vcs(name string) bool {
	switch name {
	case ".git", ".hg", ".svn", ".bzr", ".jj", "_darcs", "CVS", ".fslckout", ".pijul":
		return true
	}
	return false
}

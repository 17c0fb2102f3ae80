package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityNamesEverybodysFiles has SECURITY.md list each name with random digits that xdist
// makes in a directory for temporary files, or where mirrors are: all begin with its own name.
func TestSecurityNamesEverybodysFiles(t *testing.T) {
	text, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "## Names in directories that are everybody's")
	section, _, _ = strings.Cut(section, "\n## ")
	if !ok {
		t.Fatal("there is no section about names")
	}
	made := regexp.MustCompile(`(?:(?:MkdirTemp|CreateTemp)\([^\n]*?|[tT]\w+Prefix = )"(xdist-[a-z-]*)"`)
	prefixes := make(map[string]string) // and where they are
	err = filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "bench" || d.Name() == "integration") {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(name)
		for _, m := range made.FindAllSubmatch(src, -1) {
			prefixes[string(m[1])] = name
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(prefixes) < 3 {
		t.Errorf("only %d names were found: %v", len(prefixes), prefixes)
	}
	for prefix, name := range prefixes {
		if !strings.Contains(section, "/"+prefix+"` and ") {
			t.Errorf("%s: %s… is not in the list of SECURITY.md", name, prefix)
		}
	}
}

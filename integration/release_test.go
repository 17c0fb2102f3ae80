package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What others can change runs nowhere in a workflow: each action is named by a digest, with the
// version that people read behind it.
func TestActionsArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^\s*(?:- )?uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	files, err := filepath.Glob(filepath.Join("..", ".github", "workflows", "*.yml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("workflows %v, %v", files, err)
	}
	for _, file := range append(files, filepath.Join("..", "action.yml")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\n"); strings.Contains(line, "uses:") && !pinned.MatchString(line) {
				t.Errorf("%s: %s", file, line)
			}
		}
	}
}

// A release carries agents for the platforms that the project is checked on.
func TestReleaseHasAgents(t *testing.T) {
	platforms := func(file, pattern string) string {
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s names no platforms", file)
		}
		return string(m[1])
	}
	if made, checked := platforms(filepath.Join(".ci", "agents.sh"), `for platform in (.*); do`), platforms("Makefile", `(?m)^PLATFORMS = (.*)$`); made != checked {
		t.Errorf("agents are made for %s, and checked is %s", made, checked)
	}
}

// An image for two platforms at once needs a builder that the runner does not have by itself.
func TestReleaseHasABuilder(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "dockers_v2:") {
		t.Skip("a release has no image")
	}
	workflow, err := os.ReadFile(filepath.Join("..", ".github", "workflows", "release.yml"))
	if err != nil {
		t.Fatal(err)
	}
	builder, release := strings.Index(string(workflow), "docker/setup-buildx-action@"), strings.Index(string(workflow), "make release")
	if builder < 0 || builder > release {
		t.Error("the workflow of a release sets up no builder before it")
	}
}

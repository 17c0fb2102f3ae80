package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Ids are taken as reports print them, wherever packages may stand, and nothing else is one.
func TestTakeIDs(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "tour")
	for _, d := range []string{"money", "other/list", "odd.TestData"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module example.com/named/v2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	for _, tt := range []struct{ in, want string }{
		{"./... -run X", "./... -run X"},
		{"m/p::TestA", "m/p -run=^TestA$"},
		{"./p -custom=x p::TestB", "./p -custom=x p::TestB"},
		{"money::TestA -custom p::TestB", "./money -run=^TestA$ -custom p::TestB"},
		{"-v fe80::1", "-v fe80::1"},
		{"money.TestA/q.TestB", "./money -run=^TestA$/^q\\.TestB$"},
		{"money::TestA/x.y -v", "./money -v -run=^TestA$/^x\\.y$"},
		{"money.TestString/debt other/list.TestEmpty", "./money ./other/list -run=^TestString$/^debt$|^TestEmpty$"},
		{"-race money::TestA money::TestB -args TestC", "-race ./money -run=^TestA$|^TestB$ -args TestC"},
		{"-tags a::TestB ./money", "-tags a::TestB ./money"},
		{"tour.TestSum", "./. -run=^TestSum$"},
		{"named.TestSum", "./. -run=^TestSum$"},
		{"odd.TestData", "odd.TestData"}, // a directory
		{"example.com/m/p.TestA", "example.com/m/p -run=^TestA$"},
		{"./money.ExampleX", "./money -run=^ExampleX$"},
		{"./x_test.go", "./x_test.go"},
		{"gopkg.in/yaml.v3", "gopkg.in/yaml.v3"},
		{"x.Testing", "x.Testing"},
		{"-run money.TestA ./money", "-run money.TestA ./money"},
	} {
		rest, _, err := takeIDs(strings.Fields(tt.in))
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
		}
		if diff := cmp.Diff(strings.Fields(tt.want), rest); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.in, diff)
		}
	}
	if _, _, err := takeIDs([]string{"money::TestA", "./..."}); err == nil || !strings.Contains(err.Error(), "exclude each other") {
		t.Errorf("with a package the error is %v", err)
	}
	if _, _, err := takeIDs([]string{"money::TestA", "-run=B"}); err == nil || !strings.Contains(err.Error(), "exclude each other") {
		t.Errorf("with -run the error is %v", err)
	}
}

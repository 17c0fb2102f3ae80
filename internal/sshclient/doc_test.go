package sshclient

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The package's documentation lists the keywords that count, and those that are taken for nothing.
func TestDocNamesKeywords(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := func(after string) []string {
		_, list, _ := strings.Cut(string(text), after+"\n//\n//\t")
		list, _, _ = strings.Cut(list, "\n//\n")
		words := strings.Fields(strings.ToLower(strings.ReplaceAll(list, "//", "")))
		slices.Sort(words)
		return words
	}
	source, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	read := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\br\.(?:(?:text|isYes|isNo|duration|paths)\(|settings\[)"([a-z]+)"`).FindAllSubmatch(source, -1) {
		read[string(m[1])] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(read)), listed("These keywords count:")); diff != "" {
		t.Errorf("keywords that count (-config.go +doc.go):\n%s", diff)
	}
	idle := maps.Clone(optionKeys)
	maps.DeleteFunc(idle, func(keyword string, _ bool) bool { return read[keyword] })
	if diff := cmp.Diff(slices.Sorted(maps.Keys(idle)), listed("these change nothing either:")); diff != "" {
		t.Errorf("options that change nothing (-target.go +doc.go):\n%s", diff)
	}
}

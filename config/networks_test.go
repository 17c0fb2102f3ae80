package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Networks have names and hosts, and nothing else.
func TestNetworks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "xdist.toml")
	load := func(text string) (*File, error) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(name, testFlags)
	}
	f, err := load("[networks.lab]\ntx = [\"ssh=b1\", \"ssh=b2//label:big\"]\n\n[networks.one]\ntx = \"popen\"\n")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"lab": {"ssh=b1", "ssh=b2//label:big"}, "one": {"popen"}}
	if diff := cmp.Diff(want, f.Networks); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"[networks.lab]\ntx = [\"popen\"]\nhosts = 3\n": ":3: networks.lab.hosts: no such setting",
		"[networks.lab]\n": ":1: networks.lab: a network has tx",
		"[networks.a]\ntx = \"popen\"\n\n[networks.lab]\ntx = [[\"popen\"]]\n": ":5: networks.lab: want a text",
		"[networks]\nlab = \"popen\"\n":                                        ":2: ",
	} {
		if _, err := load(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

package main

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The arguments of a service are those of the command line, files absolute, and serve takes them as
// they are.
func TestServiceArguments(t *testing.T) {
	key, err := filepath.Abs("team.key")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		options serveOptions
		want    []string
	}{
		{serveOptions{listen: ":8888", keyName: "team.key", agents: 7, size: "2G", own: true, quiet: true}, []string{"serve", "--listen", ":8888", "--max-agents", "7", "--cache-size", "2G", "--key", key, "--own-program", "--quiet"}},
		{serveOptions{listen: "127.0.0.1:1", agents: 256, size: "1G", debug: true}, []string{"serve", "--listen", "127.0.0.1:1", "--max-agents", "256", "--cache-size", "1G", "--insecure", "--debug"}},
	} {
		config, err := serviceConfig(tc.options, "builder")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, config.Arguments); diff != "" || config.UserName != "builder" || config.Name != "xdist" {
			t.Errorf("name %q, user %q, arguments: %s", config.Name, config.UserName, diff)
		}
		known := make(map[string]bool)
		for _, f := range serveCommand().Flags {
			known["--"+f.Names()[0]] = true
		}
		for _, a := range config.Arguments {
			if len(a) > 2 && a[:2] == "--" && !known[a] {
				t.Errorf("serve has no flag %s", a)
			}
		}
	}
}

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/xdist-go/xdist/config"
	"github.com/xdist-go/xdist/gotest"
)

// configure reads the configuration of the module and gives the flags that the command line does
// not have the values that are there. args are go test's, of which -C says where the module is.
func configure(c *cli.Context, args []string) (*config.File, error) {
	file, err := loadConfig(c, args)
	if err != nil {
		return nil, err
	}
	// What the command line says of gateways stands for all that the file says of them.
	gateways := c.IsSet("tx") || c.IsSet("numprocesses")
	given := make(map[string]bool)
	for _, s := range file.Run {
		given[s.Flag] = c.IsSet(s.Flag) || gateways && (s.Flag == "tx" || s.Flag == "numprocesses" || s.Flag == "n")
	}
	for _, s := range file.Run {
		for _, v := range s.Values {
			if given[s.Flag] {
				break
			}
			if err := c.Set(s.Flag, v); err != nil {
				return nil, fmt.Errorf("read configuration %s: %s %q: %w", file.Name, s.Flag, v, err)
			}
		}
	}
	return file, nil
}

// defaultable are the flags that the configuration may have a default for: all that are no part of
// one job's command line.
func defaultable() []string {
	var names []string
	for _, f := range runFlags() {
		if name := f.Names()[0]; name != "config" && name != "shard" {
			names = append(names, f.Names()...)
		}
	}
	return names
}

// loadConfig reads the configuration that the user names, or else the one that is found.
func loadConfig(c *cli.Context, args []string) (*config.File, error) {
	if name := c.String("config"); name != "" {
		return config.Load(name, defaultable())
	}
	if name := findConfig(args); name != "" {
		return config.LoadFound(name, defaultable())
	}
	return &config.File{}, nil
}

// findConfig looks for the configuration at the root of the module that the go command would be in,
// and else at that of its workspace. It does not look further up, where others may write.
func findConfig(args []string) string {
	dir, err := filepath.Abs(chdirOf(args))
	if err != nil {
		return ""
	}
	for _, root := range []string{moduleRoot(dir), workspaceRoot(dir)} {
		if root == "" {
			continue
		}
		if name := config.Find(root); name != "" {
			return name
		}
	}
	return ""
}

// chdirOf is go test's -C, which is its first flag or none.
func chdirOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	name, value, hasValue := strings.Cut(strings.TrimPrefix(args[0], "-"), "=")
	switch {
	case name != "C" && name != "-C":
		return "."
	case hasValue:
		return value
	case len(args) > 1:
		return args[1]
	}
	return "."
}

// grouped asks for the tests of each source file to be one group, of those that ask for no other:
// --dist loadfile.
func grouped(packages []gotest.Package) {
	for i := range packages {
		p := &packages[i]
		p.Items = slices.Clone(p.Items)
		for j := range p.Items {
			it := &p.Items[j]
			d := gotest.Directives{}
			if it.Directives != nil {
				d = *it.Directives
			}
			if d.Group != "" || it.File == "" {
				continue
			}
			d.Group = "file " + p.ImportPath + "/" + it.File
			it.Directives = &d
		}
	}
}

var errShardOfEach = errors.New("--shard divides a run that has every test once, and --dist each has them on every gateway")

package gotest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Moved returns the command for another host, on which move tells what becomes of an absolute path.
// It is to be given in the directory Dir of the result, without -C. Relative paths stay as they
// are; so do arguments of the test binary other than -test.name=path.
func (c *Command) Moved(move func(path string) string) *Command {
	m := *c
	m.Dir, m.Chdir = move(c.Dir), ""
	arg := func(a string) string {
		name, value, ok := strings.Cut(a, "=")
		if !ok || !filepath.IsAbs(value) {
			return a
		}
		return name + "=" + move(value)
	}
	m.BuildFlags = nil
	for _, f := range c.BuildFlags {
		if !strings.HasPrefix(f, "-C=") {
			m.BuildFlags = append(m.BuildFlags, arg(f))
		}
	}
	m.Packages = slices.Clone(c.Packages)
	for i, p := range m.Packages {
		if filepath.IsAbs(p) {
			m.Packages[i] = move(p)
		}
	}
	m.TestArgs = slices.Clone(c.TestArgs)
	for i, a := range m.TestArgs {
		if strings.HasPrefix(a, "-test.") {
			m.TestArgs[i] = arg(a)
		}
	}
	if filepath.IsAbs(c.Overlay) {
		m.Overlay = move(c.Overlay)
	}
	return &m
}

// commandText is a Command with all of its fields.
type commandText struct {
	*Command
	CoverFlagsSet, VCSStamped, RawTestFlags bool
}

// Encode writes the command down for DecodeCommand of the same version.
func (c *Command) Encode() ([]byte, error) {
	return json.Marshal(commandText{c, c.coverFlagsSet, c.vcsStamped, c.rawTestFlags})
}

// DecodeCommand reads what Encode has written.
func DecodeCommand(text []byte) (*Command, error) {
	t := commandText{Command: new(Command)}
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("read a go test command: %w", err)
	}
	c := t.Command
	c.coverFlagsSet, c.vcsStamped, c.rawTestFlags = t.CoverFlagsSet, t.VCSStamped, t.RawTestFlags
	return c, nil
}

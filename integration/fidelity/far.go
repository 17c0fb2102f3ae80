package main

import (
	"os/exec"
	"strings"
)

// where is where tests run under xdist.
type where struct {
	tx    []string                  // values of --tx
	start func(cmd *exec.Cmd) error // starts xdist; nil is cmd.Start
	noGo  bool                      // there is no go command
	close func() error              // nil is for nothing to close
}

// specs are values of a flag that may be repeated.
type specs []string

func (s *specs) String() string     { return strings.Join(*s, " ") }
func (s *specs) Set(v string) error { *s = append(*s, v); return nil }

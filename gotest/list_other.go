//go:build !unix

package gotest

import "os/exec"

// killGroup does nothing here: there are no groups.
func killGroup(*exec.Cmd) {}

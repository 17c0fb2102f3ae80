//go:build !unix

package gotest

import "os/exec"

// ownGroup does nothing here: cancelling kills the go command.
func ownGroup(*exec.Cmd) {}

// killGroup does nothing here: there are no groups.
func killGroup(*exec.Cmd) {}

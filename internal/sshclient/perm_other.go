//go:build !unix

package sshclient

import "io/fs"

// othersMayWrite is false: modes say nothing here of who may do what.
func othersMayWrite(fs.FileInfo) bool { return false }

// othersMayRead is false, for the same reason.
func othersMayRead(fs.FileInfo) bool { return false }

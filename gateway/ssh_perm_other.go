//go:build !unix

package gateway

import "io/fs"

// othersMayWrite is false: modes say nothing here of who may do what.
func othersMayWrite(fs.FileInfo) bool { return false }

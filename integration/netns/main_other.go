//go:build !linux

package netns

import "errors"

// Main does nothing: there are no hosts of one's own here.
func Main() {}

// Supported says why no worlds can be made.
func Supported() error { return errors.New("namespaces are Linux's") }

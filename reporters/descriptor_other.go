//go:build !unix

package reporters

// inherited reports whether a descriptor is one that the process was given, which cannot be told
// here but for the standard ones.
func inherited(fd int) bool { return fd == 1 || fd == 2 }

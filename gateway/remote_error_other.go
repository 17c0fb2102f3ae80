//go:build !windows

package gateway

// systemErrors are the errors that known ones are on this system, besides.
var systemErrors map[string]error

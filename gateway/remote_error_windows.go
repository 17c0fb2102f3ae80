package gateway

import "golang.org/x/sys/windows"

// systemErrors are the errors that known ones are on this system, besides: the numbers that package
// syscall has for them are its own invention.
var systemErrors = map[string]error{
	"syscall.ECONNREFUSED": windows.WSAECONNREFUSED,
	"syscall.EADDRINUSE":   windows.WSAEADDRINUSE,
}

//go:build darwin || freebsd

package gateway

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// loadAverage is that of the last minute, from the struct loadavg of sys/resource.h: three numbers
// of 32 bits, and what they are to be divided by, a long.
func loadAverage() float64 {
	b, err := unix.SysctlRaw("vm.loadavg")
	if err != nil || len(b) < 24 {
		return 0
	}
	if scale := binary.NativeEndian.Uint64(b[16:]); scale > 0 {
		return float64(binary.NativeEndian.Uint32(b)) / float64(scale)
	}
	return 0
}

// availableMemory is not told in a form that can be compared.
func availableMemory() int64 { return 0 }

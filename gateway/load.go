package gateway

import "github.com/xdist-go/xdist/internal/diskspace"

// Load is what an agent's host is busy with, and what programs can still have there. What the host
// does not tell is 0.
type Load struct {
	// Average is how many processes ran or waited for a processor of the whole host, on average
	// over the last minute. Windows does not tell.
	Average float64 `cbor:"1,keyasint,omitempty"`
	// Memory is how many bytes programs can take without swapping. Only Linux tells.
	Memory int64 `cbor:"2,keyasint,omitempty"`
	// Disk is how many bytes the agent's user can write to the file system of its directory.
	Disk int64 `cbor:"3,keyasint,omitempty"`
}

// loadOf is that of this host, for a process in dir.
func loadOf(dir string) Load {
	l := Load{Average: loadAverage(), Memory: availableMemory()}
	l.Disk, _ = diskspace.Free(dir) // 0 with an error
	return l
}

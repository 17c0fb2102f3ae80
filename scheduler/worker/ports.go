package worker

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/xdist-go/xdist/internal/lockfile"
	"github.com/xdist-go/xdist/rsync"
	"github.com/xdist-go/xdist/scheduler/hosts"
)

// The ports that tests are given in XDIST_PORT_BASE. All blocks are below 32768, from where on
// Linux hands ports out by itself; other systems begin at 49152.
const (
	firstPort  = 20_000
	blockPorts = 100 // in one block
	portBlocks = 127
)

// holdPorts returns the first port of a block that no other worker of this user on this host has
// until release: that of the slot, or the next one that is free. It is 0 when all are taken. Where
// there are no locks it is the slot's own, and another run may have the same.
func holdPorts(slot int) (base int, release func()) {
	own := firstPort + slot%portBlocks*blockPorts
	blobs, err := rsync.BlobDir()
	if err != nil {
		return own, func() {}
	}
	return holdPortsIn(filepath.Join(filepath.Dir(blobs), hosts.PortLocks), slot)
}

func holdPortsIn(dir string, slot int) (base int, release func()) {
	release = func() {}
	own := firstPort + slot%portBlocks*blockPorts
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return own, release
	}
	for i := range portBlocks {
		block := (slot + i) % portBlocks
		lock := lockfile.New(filepath.Join(dir, fmt.Sprintf("%d.lock", block)))
		ok, err := lock.TryLock()
		if err != nil {
			return own, release
		}
		if ok {
			return firstPort + block*blockPorts, func() { lock.Close() } // the end of the process does it too
		}
	}
	return 0, release
}

// slotEnv is what tests see of a worker's slot.
func slotEnv(slot, portBase int) []string {
	env := []string{fmt.Sprintf("XDIST_SLOT=%d", slot)}
	if portBase != 0 {
		env = append(env, fmt.Sprintf("XDIST_PORT_BASE=%d", portBase))
	}
	return env
}

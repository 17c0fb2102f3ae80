package hosts

import (
	"os"
	"path/filepath"

	"github.com/xdist-go/xdist/internal/lockfile"
)

// PortLocks is the directory, beside the directory of blobs, with a lock for each block.
const PortLocks = "ports"

// removeFreePorts removes the locks that nobody holds, and their directory when it is empty then.
func removeFreePorts(dir string) {
	names, err := filepath.Glob(filepath.Join(dir, "*.lock"))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for _, name := range names {
		lock := lockfile.Existing(name)
		if lockfile.Try(lock) != nil {
			continue
		}
		lockfile.Remove(lock) // fails only where somebody has it already
	}
	os.Remove(dir)
}

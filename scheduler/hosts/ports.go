package hosts

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/xdist-go/xdist/internal/lockfile"
)

// PortLocks is the directory, beside the directory of blobs, with a lock for each block.
const PortLocks = "ports"

// removeFreePorts removes the locks in a home that nobody holds, and their directory when it is
// empty then.
func removeFreePorts(home *os.Root) {
	entries, err := fs.ReadDir(home.FS(), PortLocks)
	if err != nil {
		return // it is not there
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".lock") {
			removeFreeLock(home, PortLocks+"/"+e.Name())
		}
	}
	home.Remove(PortLocks)
}

// removeFreeLock removes a lock in a home, unless somebody holds it.
func removeFreeLock(home *os.Root, name string) {
	lock := lockfile.Existing(filepath.Join(home.Name(), filepath.FromSlash(name)))
	if lockfile.Try(lock) != nil {
		return
	}
	defer lock.Close()
	held, err := lock.Stat()
	named, namedErr := home.Lstat(name)
	if err != nil || namedErr != nil || !os.SameFile(held, named) {
		return // another home has come under the name of this one
	}
	if runtime.GOOS == "windows" {
		lock.Close() // a file that is open could not be removed
	}
	home.Remove(name) // fails only where somebody has it already
}

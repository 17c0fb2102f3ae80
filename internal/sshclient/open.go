package sshclient

import (
	"os"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// fileLimit bounds the files of ssh that are read, in bytes: room for a known_hosts of many
// thousand hosts.
const fileLimit = 16 << 20

// openFile opens a file of ssh's: a configuration, a key, a certificate or known hosts. A FIFO
// or a device is an error at once, but the null device is a file without content.
func openFile(name string) (*os.File, error) {
	if name == os.DevNull {
		return os.Open(name)
	}
	return ownfile.Open(name)
}

// readFile returns the content of a file of ssh's.
func readFile(name string) ([]byte, error) {
	f, err := openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ownfile.ReadAll(f, fileLimit)
}

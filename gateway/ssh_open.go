package gateway

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// sshFileLimit bounds the files of ssh that are read, in bytes: room for a known_hosts of many
// thousand hosts.
const sshFileLimit = 16 << 20

// openSSHFile opens a file of ssh's: a configuration, a key, a certificate or known hosts. A FIFO
// or a device is an error at once, but the null device is a file without content.
func openSSHFile(name string) (*os.File, error) {
	if name == os.DevNull {
		return os.Open(name)
	}
	return ownfile.Open(name)
}

// readSSHFile returns the content of a file of ssh's.
func readSSHFile(name string) ([]byte, error) {
	f, err := openSSHFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f)
}

// readLimited reads an open file of ssh's to its end.
func readLimited(f *os.File) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, sshFileLimit+1))
	if err == nil && len(text) > sshFileLimit {
		err = &fs.PathError{Op: "read", Path: f.Name(), Err: errors.New("it is too large")}
	}
	return text, err
}

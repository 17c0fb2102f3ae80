package keyed

import (
	"fmt"
	"io"
	"os"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// Read reads a key file. It must belong to this user or root, and nobody else may be able to read
// it (Unix).
func Read(name string) (Key, error) {
	f, err := ownfile.Open(name)
	if err != nil {
		return Key{}, fmt.Errorf("read key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = checkMode(name, info)
	}
	if err != nil {
		return Key{}, fmt.Errorf("read key %s: %w", name, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Key{}, fmt.Errorf("read key: %w", err)
	}
	k, err := Parse(text)
	if err != nil {
		return Key{}, fmt.Errorf("read key %s: %w", name, err)
	}
	return k, nil
}

// Create writes k to a new file that only its owner can read. It does not touch a file that is
// there already.
func Create(name string, k Key, comment string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create key: %w", err)
	}
	_, err = f.Write(k.Format(comment))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(name) // half a key is none
		return fmt.Errorf("create key: %w", err)
	}
	return nil
}

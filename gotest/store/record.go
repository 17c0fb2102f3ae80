package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// MaxRecord bounds the key and the value of a record together, in bytes: records are for facts
// about binaries, not for binaries.
const MaxRecord = 16 << 20

// The file of a record is the magic, the SHA-256 of what follows, the length of the key as a
// big-endian uint32, key and value.
const (
	recMagic  = "xdist record 1\n"
	recHeader = len(recMagic) + sha256.Size + 4
)

// PutRecord stores value under key in the place of what was there. Any text is a key. A reader sees
// the old value or the new, also after a crash. The store does not keep value.
//
// Errors are ErrReadOnly and ErrFull, and one for a record of more than MaxRecord bytes.
func (s *Store) PutRecord(key string, value []byte) error {
	if len(key)+len(value) > MaxRecord {
		return fmt.Errorf("put record %q into store %s: more than %d bytes", clip(key), s.dir, MaxRecord)
	}
	if err := s.putRecord(key, value); err != nil {
		return fmt.Errorf("put record %q into store %s: %w", clip(key), s.dir, classify(err))
	}
	return nil
}

func (s *Store) putRecord(key string, value []byte) error {
	f, err := s.temp()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is there only when it was not renamed
	_, err = f.Write(encodeRecord(key, value))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return publish(f.Name(), s.recName(key))
}

// GetRecord returns the value under key and marks it as used. A record that is damaged is removed
// and not found. The value is the caller's.
func (s *Store) GetRecord(key string) ([]byte, bool) {
	name := s.recName(key)
	f, err := ownfile.Open(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxRecord+int64(recHeader)+1))
	if err != nil {
		s.log.Warn("read record from store", "file", name, "error", err)
		return nil, false
	}
	value, ok := decodeRecord(key, text)
	if !ok {
		s.log.Warn("remove damaged record from store", "file", name)
		f.Close() // Windows removes no open file
		os.Remove(name)
		return nil, false
	}
	touch(name)
	return value, true
}

func (s *Store) recName(key string) string {
	sum := sha256.Sum256([]byte(key))
	digits := hex.EncodeToString(sum[:])
	return filepath.Join(s.dir, recDir, digits[:2], digits)
}

func encodeRecord(key string, value []byte) []byte {
	body := binary.BigEndian.AppendUint32(nil, uint32(len(key)))
	body = append(append(body, key...), value...)
	sum := sha256.Sum256(body)
	return append(append([]byte(recMagic), sum[:]...), body...)
}

// decodeRecord returns the value of the record in text, if it is one of this key.
func decodeRecord(key string, text []byte) (value []byte, ok bool) {
	rest, ok := bytes.CutPrefix(text, []byte(recMagic))
	if !ok || len(text) < recHeader {
		return nil, false
	}
	sum, body := rest[:sha256.Size], rest[sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, false
	}
	n := binary.BigEndian.Uint32(body)
	if uint64(n) > uint64(len(body)-4) || string(body[4:4+n]) != key {
		return nil, false
	}
	return body[4+n:], true
}

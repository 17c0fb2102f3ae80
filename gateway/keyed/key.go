package keyed

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Size is the number of bytes of a key.
const Size = 32

// Key is a shared secret. The zero value is no key; Generate, Parse and FromBytes make one.
type Key struct{ secret [Size]byte }

// Generate returns a new random key.
func Generate() Key {
	var k Key
	rand.Read(k.secret[:]) // never fails
	return k
}

// ErrNoKey is the error for what is no key: the zero value, or bytes of the wrong number.
var ErrNoKey = errors.New("no key")

// FromBytes returns the key that Bytes was called on.
func FromBytes(b []byte) (Key, error) {
	var k Key
	if len(b) != Size {
		return k, fmt.Errorf("%w: %d bytes instead of %d", ErrNoKey, len(b), Size)
	}
	copy(k.secret[:], b)
	if k.IsZero() {
		return k, fmt.Errorf("%w: all bytes are zero", ErrNoKey)
	}
	return k, nil
}

// Bytes returns the secret itself.
func (k Key) Bytes() []byte { return bytes.Clone(k.secret[:]) }

// IsZero reports whether k is the zero value.
func (k Key) IsZero() bool { return k == Key{} }

// Fingerprint names the key without giving it away: files with the same fingerprint hold the same
// key.
func (k Key) Fingerprint() string { return hex.EncodeToString(k.derive("fingerprint", 8)) }

// String returns the fingerprint, so that a key that is printed by mistake stays secret.
func (k Key) String() string { return "key " + k.Fingerprint() }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// Purposes that keys are derived for. They are part of the protocol.
const (
	purposeServer = "server ed25519"
	purposeClient = "client ed25519"
	// Who connects the other way round has other keys, so that a connection of the one kind is
	// never taken for one of the other.
	purposeListener = "listener ed25519"
	purposeJoiner   = "joiner ed25519"
)

// derive returns n bytes that depend on the secret and the purpose alone, and tell nothing of
// either (HKDF, RFC 5869).
func (k Key) derive(purpose string, n int) []byte {
	b, err := hkdf.Key(sha256.New, k.secret[:], nil, "xdist shared key 1: "+purpose, n)
	if err != nil {
		panic("BUG: " + err.Error()) // only for lengths that nobody asks for
	}
	return b
}

func (k Key) pair(purpose string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(k.derive(purpose, ed25519.SeedSize))
}

const (
	// lineVersion begins the line that holds a key. Another form would have another number.
	lineVersion = "xdist-key-1"
	// maxFile is the size in bytes of the largest key file: room for some lines of comment.
	maxFile = 16 << 10
)

// Parse reads the text of a key file: one line of the version, the key in base64 and, after a
// space, any comment. Empty lines and lines that begin with # are skipped.
func Parse(text []byte) (Key, error) {
	if len(text) > maxFile {
		return Key{}, fmt.Errorf("parse key: more than %d bytes", maxFile)
	}
	var found Key
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !found.IsZero() {
			return Key{}, errors.New("parse key: there is more than one")
		}
		var err error
		if found, err = parseLine(line); err != nil {
			return Key{}, fmt.Errorf("parse key: %w", err)
		}
	}
	if found.IsZero() {
		return Key{}, fmt.Errorf("parse key: %w: no line begins with %q", ErrNoKey, lineVersion)
	}
	return found, nil
}

// parseLine never quotes the line: it may hold somebody's secret.
func parseLine(line string) (Key, error) {
	fields := strings.Fields(line)
	switch {
	case fields[0] != lineVersion && strings.HasPrefix(fields[0], "xdist-key-"):
		return Key{}, fmt.Errorf("its version is not %s", lineVersion)
	case fields[0] != lineVersion:
		return Key{}, fmt.Errorf("%w: a line does not begin with %q", ErrNoKey, lineVersion)
	case len(fields) == 1:
		return Key{}, fmt.Errorf("%w: nothing follows %q", ErrNoKey, lineVersion)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(fields[1])
	if err != nil {
		return Key{}, fmt.Errorf("%w: what follows %q is not base64", ErrNoKey, lineVersion)
	}
	return FromBytes(b)
}

// Format returns the text of a key file; comment may be empty and must be one line.
func (k Key) Format(comment string) []byte {
	line := lineVersion + " " + base64.StdEncoding.EncodeToString(k.secret[:]) + " " + strings.Join(strings.Fields(comment), " ")
	return []byte(strings.TrimSpace(line) + "\n")
}

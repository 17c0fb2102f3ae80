package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// A Digest is the SHA-256 of the content of a binary. It is comparable. The zero value names
// nothing.
type Digest [sha256.Size]byte

const digestPrefix = "sha256-"

// ParseDigest reads the text of a digest: 64 hexadecimal digits in lower case, with "sha256-"
// before them or without.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	digits := strings.TrimPrefix(text, digestPrefix)
	n, err := hex.Decode(d[:], []byte(digits[:min(len(digits), hex.EncodedLen(len(d)))]))
	if err != nil || n != len(d) || len(digits) != hex.EncodedLen(len(d)) || digits != strings.ToLower(digits) {
		return Digest{}, fmt.Errorf("parse digest %q: want sha256- and %d digits 0-9 or a-f", clip(text), hex.EncodedLen(len(d)))
	}
	return d, nil
}

// clip keeps what a peer sent from filling an error.
func clip(s string) string {
	const most = 100 // bytes: a digest has 71
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// String returns "sha256-" and the digits.
func (d Digest) String() string { return digestPrefix + d.Hex() }

// MarshalText returns String's text.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDigest.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDigest(string(text))
	return err
}

// Hex returns the digits alone, which are the name of files.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

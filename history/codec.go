package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/s2"
)

// A value of the file is the CRC-32 of what follows, a time in Unix seconds (both big-endian) and
// S2 of CBOR, or of what packageRecord.append makes. The time is when what it tells of was seen
// last, to be read without the rest.
const valueHeader = 4 + 8

// maxValue bounds a value, decompressed, in bytes.
const maxValue = 256 << 20

var errChecksum = errors.New("its checksum is wrong")

// seal makes a value of v.
func seal(v any, seen int64) ([]byte, error) {
	var text []byte
	var err error
	if p, ok := v.(*packageRecord); ok {
		text = p.append(nil)
	} else if text, err = cbor.Marshal(v); err != nil {
		return nil, err
	}
	value := make([]byte, valueHeader, valueHeader+len(text)/2)
	binary.BigEndian.PutUint64(value[4:], uint64(seen))
	value = append(value, s2.Encode(nil, text)...)
	binary.BigEndian.PutUint32(value, crc32.ChecksumIEEE(value[4:]))
	return value, nil
}

// seenAt returns the time in a value, if its checksum is right.
func seenAt(value []byte) (int64, error) {
	if len(value) < valueHeader || binary.BigEndian.Uint32(value) != crc32.ChecksumIEEE(value[4:]) {
		return 0, errChecksum
	}
	return int64(binary.BigEndian.Uint64(value[4:])), nil
}

// open decodes a value into v. It can decode no part of v and fail.
func open(value []byte, v any) error {
	if _, err := seenAt(value); err != nil {
		return err
	}
	if n, err := s2.DecodedLen(value[valueHeader:]); err != nil || n > maxValue {
		return fmt.Errorf("a value of %d bytes: %w", n, errors.Join(err, errTooLarge))
	}
	text, err := s2.Decode(nil, value[valueHeader:])
	if err != nil {
		return err
	}
	if p, ok := v.(*packageRecord); ok {
		return p.read(text)
	}
	limits, err := cbor.DecOptions{MaxArrayElements: 4 * maxTests, MaxMapPairs: 4 * maxTests}.DecMode()
	if err != nil {
		return err
	}
	return limits.Unmarshal(text, v)
}

var errTooLarge = errors.New("too large")

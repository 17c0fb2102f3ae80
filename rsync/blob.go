package rsync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// BlobHandler is the name under which an agent has [KeepBlobs].
const BlobHandler = "rsync blobs"

// Blob is a file that is known by its content, such as an executable.
type Blob struct {
	Digest string `cbor:"1,keyasint"` // SHA-256, 64 hexadecimal digits in lower case
	Name   string `cbor:"2,keyasint"` // what the file is to be called; no path
	Size   int64  `cbor:"3,keyasint"` // bytes
}

// blobArgs are the arguments of the handler: either Put or List is set.
type blobArgs struct {
	Version int   `cbor:"1,keyasint"`
	Put     *Blob `cbor:"3,keyasint,omitempty"`
	List    bool  `cbor:"5,keyasint,omitempty"`
	Check   bool  `cbor:"6,keyasint,omitempty"` // of Put, whose content is to be looked at
}

// blobAnswer is the first item from the handler, and also the last when a blob was put.
type blobAnswer struct {
	Paths   []string `cbor:"1,keyasint,omitempty"` // absolute; empty for what is not there
	Offset  int64    `cbor:"2,keyasint,omitempty"` // of a blob of which a part is there
	Digests []byte   `cbor:"4,keyasint,omitempty"` // one behind the other, 32 bytes each
}

// ListBlobs asks the gateway's host, in one round trip, for the digests of the blobs it has: 64
// hexadecimal digits in lower case each, in no order, of 8192 at most, those used last. It waits
// for five minutes. One that is
// cut short is among them, which PutBlob would find out. That they are listed is no use of them.
func ListBlobs(ctx context.Context, gw *gateway.Gateway) ([]string, error) {
	a, err := askForList(ctx, gw)
	if err == nil && (len(a.Digests)%sha256.Size != 0 || len(a.Digests) > maxListed*sha256.Size) {
		err = errGarbled
	}
	if err != nil {
		return nil, fmt.Errorf("list files of gateway %s: %w", gw, err)
	}
	var out []string
	for d := range slices.Chunk(a.Digests, sha256.Size) {
		out = append(out, hex.EncodeToString(d))
	}
	return out, nil
}

func askForList(ctx context.Context, gw *gateway.Gateway) (a blobAnswer, err error) {
	ch, err := openLine(ctx, gw, BlobHandler, blobArgs{Version: version, List: true}, 0)
	if err != nil {
		return a, err
	}
	defer ch.Close() // never fails for a channel of our own
	err = ch.Receive(ctx, &a)
	return a, err
}

// PutOptions say how a blob is put.
type PutOptions struct {
	Digest string // SHA-256, 64 hexadecimal digits in lower case
	Check  bool   // one that is there is compared with its digest, and replaced when it differs; else that is done once a day
	// Sent, unless it is nil, is called when content has to be sent: with the size of each part,
	// from PutBlob's goroutine, before that is compressed and leaves.
	Sent func(bytes int)
	// Patience is for how long the host may say and take nothing, as while another one sends it the
	// same blob; then PutBlob fails with ErrSilent. 0 means five minutes, negative is for ever.
	Patience time.Duration
}

// PutBlob makes sure that the gateway's host has the executable at path, and returns its absolute
// path there. The name is that of path. It is sent when it is not there, from where an earlier
// attempt was interrupted, and kept only if its content has the digest. It stays until it is
// cleaned; who needs it for longer makes a hard link. The same blob may be put by many at once: one
// sends it.
func PutBlob(ctx context.Context, gw *gateway.Gateway, path string, o PutOptions) (string, error) {
	remote, err := putBlob(ctx, gw, path, o)
	if err != nil {
		return "", fmt.Errorf("put %s on gateway %s: %w", path, gw, err)
	}
	return remote, nil
}

func putBlob(ctx context.Context, gw *gateway.Gateway, path string, o PutOptions) (string, error) {
	f, err := ownfile.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	blob := Blob{Digest: o.Digest, Name: filepath.Base(path), Size: info.Size()}
	if err := blob.check(); err != nil {
		return "", err
	}
	ch, err := openLine(ctx, gw, BlobHandler, blobArgs{Version: version, Put: &blob, Check: o.Check}, o.Patience)
	if err != nil {
		return "", err
	}
	defer ch.Close() // never fails for a channel of our own
	var a blobAnswer
	if err := ch.Receive(ctx, &a); err != nil {
		return "", err
	}
	if len(a.Paths) == 0 {
		err := sendBlob(ctx, ch, &told{f, o.Sent}, a.Offset, info.Size())
		if err != nil && !errors.Is(err, gateway.ErrClosed) {
			return "", err
		}
		if err := ch.Receive(ctx, &a); err != nil { // says why, when the channel was closed
			return "", err
		}
	}
	if len(a.Paths) != 1 || a.Paths[0] == "" {
		return "", errGarbled
	}
	return a.Paths[0], nil
}

// told tells how much is read of a file.
type told struct {
	io.ReaderAt
	sent func(bytes int) // or nil
}

func (r *told) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	if r.sent != nil && n > 0 {
		r.sent(n)
	}
	return n, err
}

func sendBlob(ctx context.Context, ch line, f io.ReaderAt, offset, size int64) error {
	if offset < 0 || offset > size {
		return errGarbled
	}
	c := newCodec()
	defer c.close()
	from := struct{ io.Reader }{io.NewSectionReader(f, offset, size-offset)}
	if _, err := io.CopyBuffer(dataWriter{ctx, ch, c}, from, make([]byte, pieceSize)); err != nil {
		return err
	}
	return ch.Send(ctx, c.pack(endPacket, nil))
}

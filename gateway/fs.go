package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// fileHandler is the handler by which an agent lends its files.
const fileHandler = reservedPrefix + "file"

// Wire messages of fileHandler.
type (
	fileRequest struct {
		Op   fileOp `cbor:"1,keyasint"`
		Dir  string `cbor:"2,keyasint,omitempty"` // that Name is below of, links included
		Name string `cbor:"3,keyasint"`
		Perm uint32 `cbor:"4,keyasint,omitempty"` // for fileWrite, of a file that is made
	}
	fileStat struct {
		Name    string    `cbor:"1,keyasint"`
		Size    int64     `cbor:"2,keyasint,omitempty"`
		Mode    uint32    `cbor:"3,keyasint"` // of package io/fs
		ModTime time.Time `cbor:"4,keyasint"`
	}
)

// fileOp is what is to be done with a file.
type fileOp uint8

const (
	fileLook  fileOp = 1 // answered by one fileStat
	fileOpen  fileOp = 2 // answered by one fileStat, and then the content, or lists of a directory's
	fileWrite fileOp = 3 // takes the content, and End
)

// Bounds of what an agent can have this side keep of one call.
const (
	// readLimit is how many bytes the content may have that ReadFile returns.
	readLimit = 1 << 30
	// readGrowth is how many bytes it may have beyond the size that was told before: a file may be
	// written to meanwhile, and those of /proc have no size.
	readGrowth = 16 << 20
	// mostEntries is how many entries ReadDir collects when it is asked for all. They take 200
	// bytes each beside their names.
	mostEntries = 1 << 18
	// longestName bounds the name of an entry, in bytes. Systems have 255 characters.
	longestName = 4 << 10
	// mostNames bounds the names of mostEntries together, in bytes.
	mostNames = 64 << 20
)

// FS returns the files below a directory of the agent's host, which is relative to the agent's own
// when it is not absolute: for reading, with StatFS, ReadFileFS and ReadDirFS. Contents come as
// they are read. Links that lead out of the directory are refused. A call has no context: it ends
// with the gateway at the latest. All may be called concurrently.
//
// What is returned at once is bounded, as the agent may be anybody's. ReadFile returns 1 GiB at
// most, and no more than 16 MiB beyond the size that the agent has told: more is an error, and the
// way to read it is a file of Open's. Of more than 262,144 entries, or 64 MiB of names, ReadDir
// returns the first ones and an error, and the way to all of them is an [fs.ReadDirFile], which is
// asked for some at a time. A name that no entry of a directory has is an error, too.
func (gw *Gateway) FS(dir string) fs.FS { return remoteFS{gw, dir} }

// WriteFile writes a file of the agent's host as os.WriteFile does, but that the file has its name
// and content at once, when all of it has come.
func (gw *Gateway) WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	return gw.WriteFileFrom(ctx, name, bytes.NewReader(data), perm)
}

// WriteFileFrom is WriteFile with what a reader gives, of which no more than a chunk is in memory.
// Where the reader fails nothing is written. ctx does not end a Read that blocks.
func (gw *Gateway) WriteFileFrom(ctx context.Context, name string, from io.Reader, perm fs.FileMode) error {
	err := gw.writeFile(ctx, name, from, perm)
	if err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: fmt.Errorf("gateway %s: %w", gw.ID(), err)}
	}
	return nil
}

func (gw *Gateway) writeFile(ctx context.Context, name string, from io.Reader, perm fs.FileMode) (err error) {
	ch, err := gw.open(ctx, fileHandler, fileRequest{Op: fileWrite, Name: name, Perm: uint32(perm)})
	if err != nil {
		return err
	}
	defer func() { ch.CloseWith(err) }() // an end without an error might be taken for that of the content
	buf := make([]byte, relayChunk)
	for {
		n, readErr := io.ReadFull(from, buf)
		if n > 0 {
			if err := ch.Send(ctx, buf[:n]); err != nil {
				return errors.Join(ch.WaitClose(ctx), err)
			}
		}
		switch {
		case errors.Is(readErr, io.EOF), errors.Is(readErr, io.ErrUnexpectedEOF):
			if err := ch.CloseSend(); err != nil {
				return err
			}
			return ch.WaitClose(ctx)
		case readErr != nil:
			return readErr
		}
	}
}

type remoteFS struct {
	gw  *Gateway
	dir string
}

var (
	_ fs.StatFS     = remoteFS{}
	_ fs.ReadFileFS = remoteFS{}
	_ fs.ReadDirFS  = remoteFS{}
)

// request begins an operation and returns the channel with the first answer.
func (f remoteFS) request(op fileOp, verb, name string) (*Channel, fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, nil, &fs.PathError{Op: verb, Path: name, Err: fs.ErrInvalid}
	}
	ctx := context.Background()
	ch, err := f.gw.open(ctx, fileHandler, fileRequest{Op: op, Dir: f.dir, Name: name})
	var st fileStat
	if err == nil {
		if err = ch.Receive(ctx, &st); err != nil {
			ch.Close()
		}
	}
	if err != nil {
		return nil, nil, &fs.PathError{Op: verb, Path: name, Err: fmt.Errorf("gateway %s: %w", f.gw.ID(), err)}
	}
	st.Name = path.Base(name)
	return ch, remoteInfo{st}, nil
}

// Open implements fs.FS.
func (f remoteFS) Open(name string) (fs.File, error) {
	ch, info, err := f.request(fileOpen, "open", name)
	if err != nil {
		return nil, err
	}
	return &remoteFile{name: name, info: info, ch: ch, content: ch.Reader(context.Background())}, nil
}

// Stat implements fs.StatFS.
func (f remoteFS) Stat(name string) (fs.FileInfo, error) {
	ch, info, err := f.request(fileLook, "stat", name)
	if err == nil {
		ch.Close()
	}
	return info, err
}

// ReadFile implements fs.ReadFileFS.
func (f remoteFS) ReadFile(name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.(*remoteFile).readAll()
}

// ReadDir implements fs.ReadDirFS.
func (f remoteFS) ReadDir(name string) ([]fs.DirEntry, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	entries, err := file.(*remoteFile).ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// remoteFile is a file or directory of another host that is read.
type remoteFile struct {
	name    string
	info    fs.FileInfo
	ch      *Channel
	content io.Reader
	entries []fs.DirEntry // that have come and were not asked for
	names   int           // bytes of the names that have come since they were asked for
	closed  bool
}

var _ fs.ReadDirFile = (*remoteFile)(nil)

// Stat implements fs.File.
func (f *remoteFile) Stat() (fs.FileInfo, error) {
	if f.closed {
		return nil, f.failed("stat", fs.ErrClosed)
	}
	return f.info, nil
}

// Read implements fs.File.
func (f *remoteFile) Read(p []byte) (int, error) {
	if f.closed {
		return 0, f.failed("read", fs.ErrClosed)
	}
	if f.info.IsDir() {
		return 0, f.failed("read", errors.New("it is a directory"))
	}
	n, err := f.content.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = f.failed("read", err)
	}
	return n, err
}

// readAll reads what ReadFile may return. Memory grows with what comes, whatever was announced.
func (f *remoteFile) readAll() ([]byte, error) {
	size := f.info.Size()
	switch {
	case size < 0:
		return nil, f.failed("read", fmt.Errorf("it has a size of %d bytes", size))
	case size > readLimit:
		return nil, f.failed("read", fmt.Errorf("it has %d bytes, and ReadFile takes %d", size, readLimit))
	}
	most := min(size+readGrowth, readLimit)
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(content)) > most:
		return nil, f.failed("read", fmt.Errorf("it has grown by more than %d MiB since it was opened, or beyond the %d MiB that ReadFile takes", readGrowth>>20, readLimit>>20))
	}
	return content, nil
}

// receiveEntries takes the next part of a directory's list.
func (f *remoteFile) receiveEntries() error {
	item, err := f.ch.ReceiveItem(context.Background())
	if err != nil {
		return err
	}
	const array = 4 // a major type of CBOR
	_, n, ok := itemHead(item)
	switch {
	case !ok || item[0]>>5 != array:
		return errors.New("a part of its list is none")
	case n > listChunk: // an entry can take fifty times the memory of its bytes
		return fmt.Errorf("a part of its list has %d entries, and may have %d", n, listChunk)
	}
	var stats []fileStat
	if err := item.Decode(&stats); err != nil {
		return err
	}
	for _, st := range stats {
		switch {
		case len(st.Name) > longestName:
			return fmt.Errorf("it has an entry with a name of %d bytes", len(st.Name))
		case !fs.ValidPath(st.Name), st.Name == ".", strings.Contains(st.Name, "/"):
			return fmt.Errorf("it has an entry %q", st.Name)
		}
		f.names += len(st.Name)
		f.entries = append(f.entries, fs.FileInfoToDirEntry(remoteInfo{st}))
	}
	return nil
}

// errManyEntries says that a directory has more than ReadDir collects.
var errManyEntries = errors.New("it has more entries than are taken at once")

// ReadDir implements fs.ReadDirFile.
func (f *remoteFile) ReadDir(n int) (list []fs.DirEntry, err error) {
	if f.closed {
		return nil, f.failed("readdir", fs.ErrClosed)
	}
	if !f.info.IsDir() {
		return nil, f.failed("readdir", errors.New("it is not a directory"))
	}
	for f.names = 0; err == nil && (n <= 0 || len(f.entries) < n); {
		if err = f.receiveEntries(); err == nil && n <= 0 && (len(f.entries) > mostEntries || f.names > mostNames) {
			err = errManyEntries
		}
	}
	count := len(f.entries)
	if n > 0 {
		count = min(n, count)
	}
	list, f.entries = f.entries[:count:count], f.entries[count:]
	switch {
	case errors.Is(err, io.EOF):
		err = nil
	case err != nil:
		err = f.failed("readdir", err)
	}
	if err == nil && n > 0 && count == 0 {
		err = io.EOF
	}
	return list, err
}

// Close implements fs.File.
func (f *remoteFile) Close() error {
	if f.closed {
		return f.failed("close", fs.ErrClosed)
	}
	f.closed = true
	return f.ch.Close()
}

func (f *remoteFile) failed(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// remoteInfo is what an agent tells of a file.
type remoteInfo struct{ st fileStat }

// Name implements fs.FileInfo.
func (i remoteInfo) Name() string { return i.st.Name }

// Size implements fs.FileInfo.
func (i remoteInfo) Size() int64 { return i.st.Size }

// Mode implements fs.FileInfo.
func (i remoteInfo) Mode() fs.FileMode { return fs.FileMode(i.st.Mode) }

// ModTime implements fs.FileInfo.
func (i remoteInfo) ModTime() time.Time { return i.st.ModTime }

// IsDir implements fs.FileInfo.
func (i remoteInfo) IsDir() bool { return i.Mode().IsDir() }

// Sys implements fs.FileInfo: there is nothing more.
func (i remoteInfo) Sys() any { return nil }

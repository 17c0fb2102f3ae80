package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// listChunk is how many entries of a directory go into one item.
const listChunk = 500

// lendFiles implements fileHandler.
func lendFiles(ctx context.Context, ch *Channel, args Item) error {
	var req fileRequest
	if err := args.Decode(&req); err != nil {
		return err
	}
	if req.Op == fileWrite {
		return takeFile(ctx, ch, req)
	}
	root, err := os.OpenRoot(cmp.Or(req.Dir, "."))
	if err != nil {
		return err
	}
	defer root.Close()
	switch req.Op {
	case fileLook:
		info, err := root.Stat(req.Name)
		if err != nil {
			return err
		}
		return ch.Send(ctx, statOf(info))
	case fileOpen:
		return lendFile(ctx, ch, root, req.Name)
	}
	return fmt.Errorf("file operation %d: %w", req.Op, errors.ErrUnsupported)
}

// lendFile sends what a file is, and its content or the entries of a directory.
func lendFile(ctx context.Context, ch *Channel, root *os.Root, name string) error {
	f, err := ownfile.OpenIn(root, name) // a FIFO would be waited for, and a device may do anything
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := ch.Send(ctx, statOf(info)); err != nil {
		return err
	}
	if !info.IsDir() {
		_, err = io.CopyBuffer(struct{ io.Writer }{ch.Writer(ctx)}, struct{ io.Reader }{f}, make([]byte, relayChunk))
		return err
	}
	for {
		entries, err := f.ReadDir(listChunk)
		var stats []fileStat
		for _, e := range entries {
			if info, err := e.Info(); err == nil { // else it has gone
				stats = append(stats, statOf(info))
			}
		}
		if len(stats) > 0 {
			if err := ch.Send(ctx, stats); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// takeFile writes what comes to a file, which has its name when all has come.
func takeFile(ctx context.Context, ch *Channel, req fileRequest) error {
	name, perm := req.Name, fs.FileMode(req.Perm).Perm()
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	there, err := os.Stat(name)
	if err == nil && !there.Mode().IsRegular() {
		return fmt.Errorf("write %s: it is no file: %w", name, fs.ErrInvalid)
	}
	temp := filepath.Join(filepath.Dir(name), ".xdist-"+rand.Text())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, ch.Reader(ctx))
	if err == nil && there != nil {
		err = f.Chmod(there.Mode().Perm())
	} else if info, statErr := f.Stat(); err == nil {
		if err = statErr; err == nil { // what it was made with is what the umask leaves
			err = f.Chmod(perm & info.Mode().Perm())
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

func statOf(info fs.FileInfo) fileStat {
	return fileStat{Name: info.Name(), Size: info.Size(), Mode: uint32(info.Mode()), ModTime: info.ModTime()}
}

package agents

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/xdist-go/xdist/internal/gobuild"
	"github.com/xdist-go/xdist/internal/ownfile"
)

// unpackedPrefix begins the names of what Unpack makes.
const unpackedPrefix = "sources-"

// Unpack writes a module's files into a directory below dir whose name tells their content, unless
// they are there, and returns its path. Those of other content that nobody has asked for in 30 days
// are removed. Tests are left out. A dir that another user may write to is refused: programs are
// made of what is there.
func Unpack(sources fs.FS, dir string) (string, error) {
	if sources == nil {
		return "", errors.New("this program has no sources in it")
	}
	digest, err := sourceDigest(sources)
	if err != nil {
		return "", fmt.Errorf("read the embedded sources: %w", err)
	}
	if err := ownfile.MakeDir(dir); err != nil {
		return "", err
	}
	target, now := filepath.Join(dir, unpackedPrefix+digest[:16]), time.Now()
	if os.Chtimes(target, now, now) == nil {
		return target, ownfile.CheckDir(target)
	}
	removeUnpacked(dir, now)
	kept := gobuild.Dir{Path: dir}
	work, remove, err := kept.Work()
	if err != nil {
		return "", err
	}
	defer remove()
	made := filepath.Join(work, "src")
	if err := extract(sources, made); err != nil {
		return "", fmt.Errorf("write the sources: %w", err)
	}
	if err := os.Rename(made, target); err != nil {
		if _, there := os.Stat(target); there != nil { // else another process of this user was quicker
			return "", err
		}
	}
	return target, ownfile.CheckDir(target)
}

// removeUnpacked removes what nobody has asked for.
func removeUnpacked(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), unpackedPrefix) && now.Sub(info.ModTime()) > gobuild.UnusedFor {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

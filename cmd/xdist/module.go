package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/xdist-go/xdist/internal/ownfile"
)

// moduleRoot is where the go.mod of the go command's main module is when it runs in dir, or "". As
// for the go command, one that is directly in the directory for temporary files does not count.
func moduleRoot(dir string) string {
	root := rootAbove(dir, "go.mod")
	at, err := os.Stat(root)
	temp, tempErr := os.Stat(os.TempDir())
	if err == nil && tempErr == nil && os.SameFile(at, temp) {
		return ""
	}
	return root
}

// workspaceRoot is where the go.work is that the go command uses in dir, or "".
func workspaceRoot(dir string) string {
	switch file := goSetting("GOWORK"); file {
	case "off":
		return ""
	case "", "auto":
		return rootAbove(dir, "go.work")
	default:
		return filepath.Dir(file)
	}
}

// rootAbove is the nearest directory with a file of a name: dir itself or one above it.
func rootAbove(dir, name string) string {
	for ; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// settingsLimit bounds a go.mod and the file of "go env -w", in bytes.
const settingsLimit = 4 << 20

// goSetting is a setting of the go command: in the environment, or else of "go env -w". The go
// command is not asked, because it reads the files that we are about to look at more carefully.
func goSetting(name string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	file := os.Getenv("GOENV")
	if file == "off" {
		return ""
	}
	if file == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return ""
		}
		file = filepath.Join(config, "go", "env")
	}
	text, err := ownfile.Read(file, settingsLimit)
	if err != nil { // most users have none
		return ""
	}
	value := ""
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+"="); ok {
			value = strings.TrimRight(rest, "\r\n")
		}
	}
	return value
}

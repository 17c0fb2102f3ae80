package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is a test suite of somebody else's, from the module proxy.
type module struct {
	name    string
	version string // path@version
	unfit   unfit
}

// unfit are tests of a module that fail on some machines and are left out there, on both sides. The
// zero value is none.
type unfit struct {
	pattern string // of go test's -skip
	reason  string
	here    func() bool // whether this is such a machine
}

// forRoot are tests that expect not to be allowed to do something.
func forRoot(pattern string) unfit {
	return unfit{pattern, "root may do everything", func() bool { return os.Getuid() == 0 }}
}

// withoutSyslog are tests that write to the system's log.
func withoutSyslog(pattern string) unfit {
	return unfit{pattern, "there is no syslog", func() bool {
		_, err := os.Stat("/dev/log")
		return err != nil
	}}
}

var (
	cobra = module{name: "cobra", version: "github.com/spf13/cobra@v1.10.2", unfit: forRoot(`^TestFailGenFishCompletionFile$`)}
	gin   = module{name: "gin", version: "github.com/gin-gonic/gin@v1.12.0"}
	toml  = module{name: "toml", version: "github.com/BurntSushi/toml@v1.6.0"}
	chi   = module{name: "chi", version: "github.com/go-chi/chi/v5@v5.2.3"}
	text  = module{name: "x/text", version: "golang.org/x/text@v0.43.0"}
	raft  = module{name: "raft", version: "github.com/hashicorp/raft@v1.8.0", unfit: forRoot(`^TestFileSS_BadPerm$`)}
	grpc  = module{name: "grpc", version: "google.golang.org/grpc@v1.85.0"}
	serf  = module{name: "serf", version: "github.com/hashicorp/serf@v0.11.0", unfit: withoutSyslog(`^TestSyslogFilter$`)}
)

// args are go test's arguments for the whole module.
func (m module) args() []string {
	if m.skips() {
		return []string{"-count=1", "-skip", m.unfit.pattern, "./..."}
	}
	return []string{"-count=1", "./..."}
}

// skips reports whether tests are left out on this machine.
func (m module) skips() bool { return m.unfit.here != nil && m.unfit.here() }

// fetch returns a writable copy of the module, made when it is asked for the first time.
func (b *bench) fetch(ctx context.Context, m module) (string, error) {
	dir := filepath.Join(b.work, strings.ReplaceAll(m.name, "/", "-"))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	b.progress("fetching %s", m.version)
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", m.version)
	cmd.Dir = b.work // outside of any module
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr == nil && answer.Error != "" {
		return "", fmt.Errorf("fetch %s: %s", m.version, answer.Error)
	}
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w: %s", m.version, err, &stderr)
	}
	if err := os.CopyFS(dir, os.DirFS(answer.Dir)); err != nil {
		return "", fmt.Errorf("copy %s: %w", m.version, err)
	}
	return dir, makeWritable(dir)
}

// makeWritable lets the owner write what came from the module cache, where all is read-only.
func makeWritable(root string) error {
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()|0o200)
	})
	if err != nil {
		return fmt.Errorf("make %s writable: %w", root, err)
	}
	return nil
}

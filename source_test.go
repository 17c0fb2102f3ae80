package xdist

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/xdist-go/xdist/agents"
)

// platforms are those that the files of the command are looked up for.
var platforms = []string{"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd"}

// maxSources is what the sources may add to the executable in bytes. More is a sign of test data
// among them.
const maxSources = 4 << 20

// TestSourcesAreTheCheckout holds what is embedded against the files, and against what the go
// command says that xdist is made of.
func TestSourcesAreTheCheckout(t *testing.T) {
	size := 0
	err := fs.WalkDir(Sources(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		got, err := fs.ReadFile(Sources(), name)
		if err != nil {
			return err
		}
		size += len(got)
		if want, err := os.ReadFile(filepath.FromSlash(name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not the checkout's: %v", name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes are embedded", size)
	if size > maxSources {
		t.Errorf("%d bytes are embedded, at most %d should be", size, maxSources)
	}
	for _, goos := range platforms {
		for _, name := range commandFiles(t, goos) {
			if _, err := fs.Stat(Sources(), name); err != nil {
				t.Errorf("%s is part of xdist for %s and not embedded: %v", name, goos, err)
			}
		}
	}
}

// commandFiles are the files of this module that go into an agent, relative and with slashes.
func commandFiles(t *testing.T, goos string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-tags=xdist_agent", "-json=Dir,Module,GoFiles,SFiles,HFiles,EmbedFiles", "./cmd/xdist")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"go.mod", "go.sum"}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir                                 string
			Module                              *struct{ Main bool }
			GoFiles, SFiles, HFiles, EmbedFiles []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return files
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		rel, err := filepath.Rel(root, p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range [][]string{p.GoFiles, p.SFiles, p.HFiles, p.EmbedFiles} {
			for _, name := range list {
				files = append(files, filepath.ToSlash(filepath.Join(rel, name)))
			}
		}
	}
}

// TestAgentIsLean keeps out of agents what only a controller can need.
func TestAgentIsLean(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		cmd := exec.Command("go", "list", "-deps", "-tags=xdist_agent", "./cmd/xdist")
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0", "GOWORK=off")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(out, []byte("/xdist/rsync\n")) || bytes.Contains(out, []byte("fsnotify")) || bytes.Contains(out, []byte("opentelemetry")) {
			t.Errorf("an agent for %s is made of\n%s", goos, out)
		}
	}
}

// TestSourcesCompile compiles agents from what is embedded, for platforms that this one is not.
func TestSourcesCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: compiling xdist for two platforms takes its time")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m := agents.New(agents.Config{Dir: t.TempDir(), Sources: Sources(), Package: "./cmd/xdist", Args: []string{"agent"}, Program: program})
	for _, p := range [][2]string{{"linux", "arm64"}, {"windows", "amd64"}} {
		if p[0] == runtime.GOOS && p[1] == runtime.GOARCH {
			continue
		}
		a, err := m.Agent(t.Context(), p[0], p[1])
		if err != nil {
			t.Error(err)
			continue
		}
		info, err := os.Stat(a.Path)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s/%s: %d bytes", p[0], p[1], info.Size())
	}
}

package rsync

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/xdist-go/xdist/gateway"
)

// agentRole is this test binary's first argument when it is an agent.
const agentRole = "agent"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == agentRole {
		agentMain()
		return
	}
	// The race detector has every process sleep for a second before it exits, agents too. What the
	// caller has set wins.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	goleak.VerifyTestMain(m)
}

func agentMain() {
	for _, env := range os.Args[2:] {
		name, value, _ := strings.Cut(env, "=")
		os.Setenv(name, value) // fails for names that are none
	}
	handlers := gateway.Handlers{Handler: Receive, FetchHandler: Offer, BlobHandler: KeepBlobs}
	maps.Copy(handlers, hostileHandlers())
	if err := gateway.ServeStdio(context.Background(), handlers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// open opens a popen gateway in a group of its own. Its agent has these variables in its
// environment, each NAME=VALUE.
func open(t testing.TB, env ...string) *gateway.Gateway {
	t.Helper()
	cfg := gateway.Config{Command: append([]string{os.Args[0], agentRole}, env...)}
	g := gateway.NewGroup(cfg)
	t.Cleanup(func() {
		if err := g.Terminate(context.Background(), 5*time.Second); err != nil {
			t.Error(err)
		}
	})
	gw, err := g.OpenSpec(t.Context(), cfg.Default)
	if err != nil {
		t.Fatal(err)
	}
	return gw
}

// place is a directory with files, for tests.
type place struct {
	testing.TB
	dir string
}

func newPlace(t testing.TB) place {
	t.Helper()
	return place{t, filepath.Join(t.TempDir(), "tree")}
}

func (p place) path(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

func (p place) write(name, content string) {
	p.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(p.path(name), []byte(content), 0o644); err != nil {
		p.Fatal(err)
	}
}

func (p place) do(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p place) read(name string) string {
	p.Helper()
	b, err := os.ReadFile(p.path(name))
	if err != nil {
		p.Fatal(err)
	}
	return string(b)
}

func (p place) exists(name string) bool {
	_, err := os.Lstat(p.path(name))
	return err == nil
}

// lines describes all that is in the directory: kind, mode, time, path and content.
func (p place) lines() string {
	p.Helper()
	text, err := p.list()
	p.do(err)
	return text
}

// list is lines of what somebody may be changing.
func (p place) list() (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(p.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(p.dir, name)
		if err != nil || rel == "." {
			return err
		}
		fmt.Fprintf(&b, "%s %s", info.Mode(), filepath.ToSlash(rel))
		switch kindOf(info.Mode()) {
		case fileKind:
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if len(content) > 50 {
				content = fmt.Appendf(nil, "%d bytes, %x", len(content), strongSum(content))
			}
			fmt.Fprintf(&b, " %s %q", info.ModTime().UTC().Format(time.RFC3339Nano), content)
		case linkKind:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " → %s", target)
		}
		b.WriteByte('\n')
		return nil
	})
	return b.String(), err
}

// send syncs to directories on gateways, and wants it to work.
func send(t testing.TB, s *Sync) Report {
	t.Helper()
	r, err := s.Send(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range r.Warnings {
		t.Error(w)
	}
	return r
}

// sendOne is send with a source and one target.
func sendOne(t testing.TB, src Source, gw *gateway.Gateway, dir string, opts TargetOptions) TargetReport {
	t.Helper()
	s := New(src)
	s.AddTarget(gw, dir, opts)
	return send(t, s).Targets[0]
}

// same checks that two directories hold the same.
func same(t testing.TB, a, b place) {
	t.Helper()
	if x, y := a.lines(), b.lines(); x != y {
		t.Errorf("source:\n%s\ntarget:\n%s", x, y)
	}
}

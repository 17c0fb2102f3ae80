//go:build unix

package gateway_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/sshd"
)

// TestSSHProxyCommand reaches servers through a process, whose end comes with the connection's.
func TestSSHProxyCommand(t *testing.T) {
	s := sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}})
	path := os.Getenv("PATH")
	for name, path := range map[string]string{"with ssh": path, "without ssh": pathWithout(t, "ssh")} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", path)
			pids := filepath.Join(t.TempDir(), "pids")
			// The shell has a child, so that its group is to end, not it alone.
			proxy := "sh -c 'echo $$ >>" + pids + "; " + os.Args[0] + " " + proxyRole + " \"$1\" \"$2\"; exit $?' sh %h %p"
			file := configWith(t, s, "ProxyCommand "+proxy)
			g := newGroup(t, config())
			for range 2 {
				wantEcho(t, openIn(t, g, "ssh=box//ssh_config="+file))
			}
			started := strings.Fields(string(must(os.ReadFile(pids))))
			if len(started) != 1 {
				t.Errorf("%d programs were started, want one for a shared connection", len(started))
			}
			wantEcho(t, openIn(t, g, "popen//id=door"))
			wantEcho(t, openIn(t, g, "ssh=box//via=door//ssh_config="+file)) // it runs beside the door
			if started = strings.Fields(string(must(os.ReadFile(pids)))); len(started) != 2 {
				t.Errorf("%d programs were started, want one more", len(started))
			}
			if err := g.Terminate(t.Context(), prompt); err != nil {
				t.Error(err)
			}
			for _, text := range started {
				awaitGone(t, must(strconv.Atoi(text)))
			}

			err := wantPhase(t, "ssh=box//ssh_config="+configWith(t, s, "ProxyCommand sh -c 'echo no way to %h >&2; exit 7'"),
				gateway.PhaseConnect, "exit status 7", "no way to "+s.Host)
			if strings.Contains(err.Error(), "killed") {
				t.Errorf("%v blames the end on us", err)
			}
			wantPhase(t, "ssh=box//ssh_config="+configWith(t, s, "ConnectTimeout 1\nProxyCommand sh -c 'echo asleep >&2; sleep 1000'"),
				gateway.PhaseConnect, "asleep")
		})
	}
}

// pathWithout is PATH without a program, all others being there.
func pathWithout(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		entries, _ := os.ReadDir(from) // what is not there holds nothing
		for _, e := range entries {
			if e.Name() != program {
				os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())) // the first counts
			}
		}
	}
	t.Setenv("PATH", dir)
	if found, err := exec.LookPath(program); !errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%s is still there: %v", found, err)
	}
	return dir
}

// configWith is a server's configuration with lines before it.
func configWith(t *testing.T, s *sshd.Server, lines string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(lines+"\n"+string(must(os.ReadFile(s.Config)))), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

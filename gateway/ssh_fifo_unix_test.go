//go:build unix

package gateway_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/xdist-go/xdist/integration/sshd"
)

// A FIFO in the place of one of ssh's files keeps nobody waiting, and the null device is an empty
// file.
func TestSSHFilesThatAreNone(t *testing.T) {
	s := sshd.Start(t, sshd.Options{Home: cacheHome, Env: []string{"XDG_CACHE_HOME=" + cacheHome}})
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	text := func(config, known, key, cert string) string {
		return "ssh=-F " + config + " -o UserKnownHostsFile=" + known + " -o IdentityAgent=none -o CertificateFile=" + cert +
			" -i " + key + " " + s.User + "@" + s.Addr()
	}
	for _, tt := range []struct {
		what, text string
		opens      bool
	}{
		{"nothing else", text(os.DevNull, s.KnownHosts, s.Key, os.DevNull), true},
		{"configuration", text(fifo, s.KnownHosts, s.Key, os.DevNull), false},
		{"known hosts", text(os.DevNull, fifo, s.Key, os.DevNull), false},
		{"key", text(os.DevNull, s.KnownHosts, fifo, os.DevNull), false},
		{"certificate", text(os.DevNull, s.KnownHosts, s.Key, fifo), true},
	} {
		g := newGroup(t, config())
		gw, err := g.OpenSpec(t.Context(), spec(t, tt.text))
		if (err == nil) != tt.opens {
			t.Errorf("%s: %v, want it to open: %t", tt.what, err, tt.opens)
		}
		if gw != nil {
			wantEcho(t, gw)
		}
	}
}

package integration

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/xdist-go/xdist/integration/sshd"
)

// What is sent to a host is told while it is sent: of the tree before the gateway is there, and of
// binaries after that.
func TestSendingIsTold(t *testing.T) {
	const size = 20 << 20
	dir := t.TempDir()
	noise := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(noise)
	for name, content := range map[string][]byte{
		"go.mod":     []byte("module example.com/large\n\ngo 1.24\n"),
		"a_test.go":  []byte("package large\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {}\n"),
		"data/noise": noise,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	events := filepath.Join(t.TempDir(), "events.ndjson")
	s := sshd.Start(t, sshd.Options{Home: t.TempDir()})
	_, e := runXdist(t, dir, nil, "--tx", "2*"+s.Spec(), "--mirror-dir", t.TempDir(), "--events", events, "./...")
	if e.status != 0 {
		t.Fatalf("status %d\n%s", e.status, e.stderr)
	}
	f, err := os.Open(events)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	host, _ := os.Hostname()
	before, after, last := 0, 0, int64(0)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l struct {
			Event, Hostname string
			Bytes           int64
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		switch l.Event {
		case "gateway-up":
			after++
		case "sending":
			if after == 0 {
				before++
			}
			if l.Bytes < last || l.Hostname != host {
				t.Errorf("%s, after %d bytes", lines.Text(), last)
			}
			last = l.Bytes
		}
	}
	if before == 0 || last == 0 || last > 2*size {
		t.Errorf("%d are told before a gateway is there, of %d bytes in all", before, last)
	}
}

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A server whose disks are all full tells its client so.
func TestServerWithFullDisks(t *testing.T) {
	if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
		t.Skipf("skipped: a server with disks of its own needs more rights: %v", err)
	}
	const fill = `unset XDG_RUNTIME_DIR; exec 3<"$0"
for dir in "$XDG_CACHE_HOME" /var/tmp /dev/shm /tmp; do mount -t tmpfs -o size=2m,mode=1777 full "$dir"; done
exec /proc/self/fd/3 "$@"`
	program, cache := readProgram(t), t.TempDir()
	addr := plainServer(t, cache, []string{"unshare", "-m", "sh", "-ec", fill}, xdist(t), "--insecure")
	run := exec.Command(program, os.Args[0], "socket="+addr)
	run.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	out, err := run.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "bytes are free") || !strings.Contains(string(out), filepath.Join(cache, "xdist")) {
		t.Errorf("%v: %s", err, out)
	}
}

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xdist-go/xdist/integration/sshd"
)

// TestHosts runs the files of testdata/hosts, which have the commands of TestScript's and hosts
// that are reached by a real sshd, each with a home of its own: BOX is the spec of one that the
// scripts share, whose home is BOX_HOME, FRESH of one that no other script uses, and CLEAN of one
// whose home is CLEAN_HOME and whose directories for temporary files have nothing of others; it is
// empty where that cannot be. Trees are to go to MIRROR.
func TestHosts(t *testing.T) {
	p := scriptParams(t, "testdata/hosts")
	box := sshd.Start(t, sshd.Options{})
	specs := map[string]string{
		"BOX": box.Spec(), "BOX_HOME": box.Home,
		"FRESH": sshd.Start(t, sshd.Options{Name: "fresh"}).Spec(),
	}
	if shell := apartShell(t); shell != "" {
		s := sshd.Start(t, sshd.Options{Name: "clean", Shell: shell})
		specs["CLEAN"], specs["CLEAN_HOME"] = s.Spec(), s.Home
	}
	setup := p.Setup
	p.Setup = func(e *testscript.Env) error {
		for name, spec := range specs {
			e.Setenv(name, spec)
		}
		e.Setenv("MIRROR", e.WorkDir+"/mirror")
		return setup(e)
	}
	condition := p.Condition
	p.Condition = func(cond string) (bool, error) {
		if cond == "apart" {
			return specs["CLEAN"] != "", nil
		}
		return condition(cond)
	}
	testscript.Run(t, p)
}

// apartShell is a login shell in whose sessions nothing is to be seen of what other tests of this
// user have in directories for temporary files: cleaning a host there does not disturb them. It is
// "" where the system has no such thing, or not for this user.
func apartShell(t *testing.T) string {
	t.Helper()
	const script = `#!/bin/sh
exec unshare -m sh -c 'for d in /var/tmp /dev/shm /tmp/xdist-$(id -u); do [ ! -d "$d" ] || mount -t tmpfs none "$d" || exit; done; exec sh "$@"' sh "$@"
`
	shell := filepath.Join(t.TempDir(), "sh")
	if err := os.WriteFile(shell, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(shell, "-c", "echo works").Output(); runtime.GOOS != "linux" || err != nil || string(out) != "works\n" {
		return ""
	}
	return shell
}

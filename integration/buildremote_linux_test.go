package integration

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/integration/netns"
)

// TestBuildRemoteWithoutGo has a host without Go that is to build: the error says so, and no test
// vanishes.
func TestBuildRemoteWithoutGo(t *testing.T) {
	f := newFar(t, netns.HostOptions{})
	spec := f.hosts[0].Spec() + "//build=remote"
	r := f.startSpecs(t, fixture(t, "fixture"), storeDir(t), []string{"2*" + spec}, "./names", "./cgo")
	_, status := r.wait(t)
	for _, want := range []string{"build on the host of gateway gw", "there is no go command", "install Go there", "11 tests, 11 not run", "example.com/fixture/names::TestOdd\n"} {
		if !strings.Contains(r.said(), want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if status != 5 || t.Failed() {
		t.Errorf("exit status %d, want 5\n%s", status, r.said())
	}
	var out outputs
	doctor := exec.CommandContext(t.Context(), xdist(t), "doctor", "--tx", spec)
	doctor.Stdout, doctor.Stderr = &out, &out
	if err := f.Start(doctor); err != nil {
		t.Fatal(err)
	}
	if err := doctor.Wait(); err == nil || !strings.Contains(out.text.String(), "no Go for build=remote") {
		t.Errorf("doctor: %v\n%s", err, out.text.String())
	}
	f.checkClean(t)
}

package gateway_test

import (
	"runtime"
	"strings"
	"testing"
)

// exec= is a command line with quotes, under which the agent of this platform is started, too.
func TestExecOfTheOwnPlatform(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: it needs env and sh")
	}
	for _, tc := range []struct{ exec, want string }{
		{`env 'XDIST_WRAPPED=a b'`, "a b"},
		{`env XDIST_WRAPPED="it's"`, "it's"},
		{`sh -c 'XDIST_WRAPPED=$1; export XDIST_WRAPPED; shift; exec "$@"' sh a\ b`, "a b"},
	} {
		g := newGroup(t, config())
		gw := openIn(t, g, "popen//id=way//exec="+tc.exec)
		if got := receive[string](t, remoteExec(t, gw, "getenv", "XDIST_WRAPPED")); got != tc.want {
			t.Errorf("%s: the agent has %q", tc.exec, got)
		}
		gw = openIn(t, g, "popen//via=way//exec=env XDIST_WRAPPED=beside")
		if got := receive[string](t, remoteExec(t, gw, "getenv", "XDIST_WRAPPED")); got != "beside" {
			t.Errorf("the agent beside it has %q", got)
		}
	}
	if _, err := newGroup(t, config()).Open(t.Context(), "popen//exec=/nonexistent/wrapper"); err == nil || !strings.Contains(err.Error(), "/nonexistent/wrapper") {
		t.Errorf("a wrapper that there is not: %v", err)
	}
}

package hostbuild

import (
	"testing"

	"github.com/xdist-go/xdist/scheduler/wire"
)

// What a host keeps of its builds has the bound that the controller says.
func TestBuildsAreBounded(t *testing.T) {
	for _, name := range []string{"XDG_CACHE_HOME", "LocalAppData", "HOME"} {
		t.Setenv(name, t.TempDir())
	}
	for _, size := range []int64{123 << 20, -1} {
		h := &hostBuild{args: wire.BuildArgs{CacheSize: size}}
		if err := h.open(); err != nil {
			t.Fatal(err)
		}
		stats, err := h.store.Stats(t.Context())
		if err != nil || stats.MaxBytes != size {
			t.Errorf("the bound is %d, %v, want %d", stats.MaxBytes, err, size)
		}
		h.close()
	}
}

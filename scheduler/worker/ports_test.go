package worker

import (
	"fmt"
	"testing"
)

func TestHoldPorts(t *testing.T) {
	dir := t.TempDir()
	hold := func(slot int) (int, func()) {
		t.Helper()
		base, release := holdPortsIn(dir, slot)
		t.Cleanup(release)
		return base, release
	}
	for _, tt := range []struct{ slot, want int }{{0, 20_000}, {1, 20_100}, {0, 20_200}, {126, 32_600}, {126, 20_300}, {127, 20_400}} {
		if base, _ := hold(tt.slot); base != tt.want {
			t.Errorf("slot %d has ports from %d, want %d", tt.slot, base, tt.want)
		}
	}
	base, release := hold(7)
	release()
	if again, _ := hold(7); again != base || again != 20_700 {
		t.Errorf("ports from %d, then from %d", base, again)
	}
	for range portBlocks {
		hold(0)
	}
	if base, _ := hold(0); base != 0 {
		t.Errorf("a block that is taken was given: %d", base)
	}
	if env := fmt.Sprint(slotEnv(3, 0)); env != "[XDIST_SLOT=3]" {
		t.Errorf("got %s", env)
	}
}

package tour

import "testing"

// TestOnARM is there on one platform only:
//
//	xdist --dist each --tx popen --tx popen//goarch=arm64//exec=qemu-aarch64-static ./...
func TestOnARM(t *testing.T) {
	if Sum(1<<62, -1<<62) != 0 {
		t.Error("the sum of opposites is not zero")
	}
}

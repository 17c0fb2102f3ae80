// Package endian holds tests that can tell platforms apart.
package endian

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"testing"
)

func TestPlatform(t *testing.T) { t.Log("runs on " + runtime.GOOS + "/" + runtime.GOARCH) }

func TestLittleEndian(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Error("the first byte is not the lowest")
	}
}

func TestWorker(t *testing.T) {
	if os.Getenv("XDIST_WORKER") == "" {
		t.Error("no XDIST_WORKER")
	}
}

func TestSubtests(t *testing.T) {
	for i := range 20 {
		t.Run(fmt.Sprintf("n=%d", i), func(t *testing.T) { t.Parallel() })
	}
}

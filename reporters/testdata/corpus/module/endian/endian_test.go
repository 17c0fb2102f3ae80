package endian

import (
	"runtime"
	"testing"
)

func TestAnywhere(t *testing.T) {}

func TestHere(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Errorf("%s is another platform", runtime.GOARCH)
	}
}

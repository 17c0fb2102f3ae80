// Package a makes what package m needs.
package a

import (
	"os"
	"testing"
)

func TestMakes(t *testing.T) {
	if err := os.WriteFile("../made", []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
}

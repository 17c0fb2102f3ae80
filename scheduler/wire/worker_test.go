package wire

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// TestAssignmentKeepsItsOwn holds that what only the controller wants to know of an assignment
// stays with it.
func TestAssignmentKeepsItsOwn(t *testing.T) {
	run := &Order{Package: "example.com/p"}
	bare, err := cbor.Marshal(Assignment{Run: run})
	if err != nil {
		t.Fatal(err)
	}
	full, err := cbor.Marshal(Assignment{Run: run, Digest: "d", Host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bare, full) {
		t.Errorf("with a digest and a host %x is sent, without %x", full, bare)
	}
}

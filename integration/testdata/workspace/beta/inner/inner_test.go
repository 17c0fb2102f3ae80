// Package inner imports another module of the workspace.
package inner

import (
	"testing"

	"example.com/alpha"
)

func TestAlpha(t *testing.T) {
	if alpha.Name() != "alpha" {
		t.Fatal(alpha.Name())
	}
}

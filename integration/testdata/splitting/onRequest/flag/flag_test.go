// Package flag has tests that run only when somebody asked for tests by name.
package flag

import (
	"flag"
	"testing"
)

func requested(t *testing.T) {
	if flag.Lookup("test.run").Value.String() == "" {
		t.Skip("only with -run")
	}
}

func TestAlways(t *testing.T) {}

func TestOnRequest(t *testing.T) { requested(t) }

func TestOnRequestFails(t *testing.T) {
	requested(t)
	t.Error("requested, and fails")
}

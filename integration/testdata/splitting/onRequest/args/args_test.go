// Package args has tests that run only when the arguments name tests.
package args

import (
	"os"
	"strings"
	"testing"
)

func requested(t *testing.T) {
	for _, arg := range os.Args[1:] {
		if strings.Contains(arg, "-test.run") {
			return
		}
	}
	t.Skip("only with -run")
}

func TestAlways(t *testing.T) {}

func TestOnRequest(t *testing.T) { requested(t) }

func TestOnRequestFails(t *testing.T) {
	requested(t)
	t.Error("requested, and fails")
}

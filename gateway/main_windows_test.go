package gateway_test

import (
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

func systemHandlers() gateway.Handlers { return nil }

func controllerMain() { panic("BUG: no test on Windows starts a controller") }

// makeFIFO ends a test that needs one.
func makeFIFO(t *testing.T, name string) { t.Skip("skipped: Windows has no FIFOs") }

package agents

import (
	"os"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

func TestMain(m *testing.M) {
	gateway.Main(nil)
	os.Exit(m.Run())
}

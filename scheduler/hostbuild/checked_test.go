package hostbuild

import (
	"context"
	"strings"
	"testing"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// saying is the link to a host that makes one report.
type saying wire.BuildReport

func (s saying) Receive(context.Context) (wire.BuildReport, error) { return wire.BuildReport(s), nil }
func (saying) Exit()                                               {}

// A host that has coverage data of a run without coverage lies: a directory of it would be copied
// here and to others.
func TestUnaskedCoverage(t *testing.T) {
	r := saying{Ready: &wire.BuiltPackage{Package: "m", Digest: make([]byte, 32), Binary: "/b/m.test", CoverMeta: "/run/covermeta-1"}}
	if _, err := Checked(r, &gotest.Command{Cover: true}).Receive(t.Context()); err != nil {
		t.Errorf("with -cover: %v", err)
	}
	_, err := Checked(r, &gotest.Command{}).Receive(t.Context())
	if err == nil || !strings.Contains(err.Error(), "read the report on m: it has coverage data, and the run has no -cover") {
		t.Errorf("without -cover: %v", err)
	}
}

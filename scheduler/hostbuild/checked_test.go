package hostbuild

import (
	"context"
	"slices"
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
	if _, err := Checked(r, &gotest.Command{Cover: true}, nil).Receive(t.Context()); err != nil {
		t.Errorf("with -cover: %v", err)
	}
	_, err := Checked(r, &gotest.Command{}, nil).Receive(t.Context())
	if err == nil || !strings.Contains(err.Error(), "read the report on m: it has coverage data, and the run has no -cover") {
		t.Errorf("without -cover: %v", err)
	}
}

// A host says where its packages are on its disk. Reports show lines of the files that are there,
// and so it must not choose a directory of this machine.
func TestListedDirs(t *testing.T) {
	home := func(path string) string {
		rest, ok := strings.CutPrefix(path, "/mirror")
		if !ok {
			return ""
		}
		return "/here" + rest
	}
	listed := saying{Listed: []gotest.Package{{ImportPath: "m/a", Dir: "/mirror/a"}, {ImportPath: "m/b", Dir: "/"}, {ImportPath: "m/c", Dir: "/here"}}}
	r, err := Checked(listed, &gotest.Command{}, home).Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range r.Listed {
		got = append(got, p.ImportPath+" "+p.Dir)
	}
	if want := []string{"m/a /here/a", "m/b ", "m/c "}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

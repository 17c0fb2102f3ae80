package hostbuild

import (
	"context"
	"errors"
	"fmt"

	"github.com/xdist-go/xdist/gotest"
	"github.com/xdist-go/xdist/scheduler/wire"
)

// Checked is a link to a host that is not believed. A report of what it was not asked for is an
// error. Directories of packages are those here that home makes of the host's, or "".
func Checked(l Link, cmd *gotest.Command, home func(path string) string) Link {
	return checkedLink{l, cmd, home}
}

type checkedLink struct {
	Link
	command *gotest.Command
	home    func(path string) string
}

func (l checkedLink) Receive(ctx context.Context) (wire.BuildReport, error) {
	r, err := l.Link.Receive(ctx)
	if err == nil && r.Ready != nil {
		if err = l.checkReady(r.Ready); err != nil {
			err = fmt.Errorf("read the report on %s: %w", r.Ready.Package, err)
		}
	}
	for i := range r.Listed {
		r.Listed[i].Dir = l.home(r.Listed[i].Dir)
	}
	return r, err
}

// errUncovered says that a host lies about the flags of its build.
var errUncovered = errors.New("it has coverage data, and the run has no -cover")

// checkReady refuses coverage data of a run without any: a directory of that host would be copied
// here and to others.
func (l checkedLink) checkReady(b *wire.BuiltPackage) error {
	if b.CoverMeta != "" && !l.command.Cover {
		return errUncovered
	}
	return nil
}

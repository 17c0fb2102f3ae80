//go:build unix

package gateway_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/xdist-go/xdist/gateway"
)

// When an agent is killed nothing of what runs beside it stays: neither a source that takes no
// notice, nor an interpreter that has nothing to do.
func TestSourceEndsWithItsAgent(t *testing.T) { overTransports(t, testSourceEndsWithItsAgent) }

func testSourceEndsWithItsAgent(t *testing.T, tr transport) {
	needGo(t)
	needPython(t)
	gw := tr.open(t)
	ch := runSource(t, gw, remote("\t\"os\"", "\tch.Send(ctx, os.Getpid())\n\tselect {}"))
	source, idle := receive[int](t, ch), ended(t, gw, "")
	if !alive(source) || !alive(idle) {
		t.Errorf("processes %d and %d are not there", source, idle)
	}
	if err := syscall.Kill(gw.Info().Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, lost := errors.AsType[*gateway.LostError](ch.WaitClose(t.Context())); !lost {
		t.Error("the channel does not tell")
	}
	for _, pid := range []int{source, idle} {
		awaitGone(t, pid)
	}
}

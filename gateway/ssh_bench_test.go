//go:build unix

package gateway_test

import (
	"os/exec"
	"testing"

	"github.com/xdist-go/xdist/gateway"
	"github.com/xdist-go/xdist/integration/sshd"
	"github.com/xdist-go/xdist/xspec"
)

// BenchmarkSSHStart opens a gateway to a host that has the agent, on a connection of its own.
func BenchmarkSSHStart(b *testing.B) {
	s := sshd.Start(b, sshd.Options{})
	open := func() {
		g := gateway.NewGroup(config())
		if _, err := g.OpenSpec(b.Context(), must(xspec.Parse(s.Spec()))); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := g.Terminate(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	open() // uploads
	for b.Loop() {
		open()
	}
}

// BenchmarkSSHTrue runs ssh host true, for comparison.
func BenchmarkSSHTrue(b *testing.B) {
	if _, err := exec.LookPath("ssh"); err != nil {
		b.Skipf("skipped: %v", err)
	}
	s := sshd.Start(b, sshd.Options{})
	for b.Loop() {
		if out, err := exec.Command("ssh", "-F", s.Config, s.Name, "true").CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
}

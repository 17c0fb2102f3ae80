package reporters

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdist-go/xdist/scheduler/event"
)

func TestVerifiedFailures(t *testing.T) {
	const pass, fail, crash = event.Pass, event.Fail, event.Crash
	var b strings.Builder
	closeVerified(&b, []event.Verification{
		{ID: "p::TestAlways", Split: true, Batch: fail, Alone: fail, Whole: fail},
		{ID: "p::TestAfter", Split: true, Batch: fail, Alone: fail, Whole: pass},
		{ID: "p::TestBatch", Split: true, Batch: crash, Alone: pass, Whole: pass},
		{ID: "p::TestVictim", Batch: fail, Alone: pass, Whole: fail},
		{ID: "p::TestFlaky", Batch: fail, Alone: pass, Whole: pass},
		{ID: "p::TestLost", Batch: fail, Alone: fail},
	})
	want := `
=== Failures verified
p::TestAlways: fail in its batch; again alone: fail; again with its whole package: fail
p::TestAfter: fail in its batch; again alone: fail; again with its whole package: pass (it fails only when its package is split: it needs tests before it; --dist loadscope keeps packages whole)
p::TestBatch: crash in its batch; again alone: pass; again with its whole package: pass (it fails only when its package is split; --dist loadscope keeps packages whole)
p::TestVictim: fail with its whole package; again alone: pass; again with its whole package: fail (other tests of its package make it fail)
p::TestFlaky: fail with its whole package; again alone: pass; again with its whole package: pass (it did not fail again)
p::TestLost: fail with its whole package; again alone: fail; again with its whole package: unknown
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

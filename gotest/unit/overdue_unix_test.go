//go:build unix

package unit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTestTimeout shows that the test that hangs is blamed and has the dump, whatever else runs in
// its process, and that what waits for it in t.Parallel is not.
func TestTestTimeout(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	for _, tt := range []struct {
		names  []string
		limits map[string]time.Duration
		want   outcome
		output string
	}{
		{
			[]string{"TestPass", "TestHang", "TestEnv"}, nil,
			outcome{Items: map[string]string{"TestPass": "pass", "TestHang": "", "TestEnv": "not started"}, ExitCode: 2, Failed: true, TimedOut: true, Culprit: "TestHang"},
			"SIGQUIT: quit",
		},
		{
			[]string{"TestWaitsForHang", "TestHang"}, map[string]time.Duration{"TestWaitsForHang": 100 * time.Millisecond},
			outcome{Items: map[string]string{"TestWaitsForHang": "", "TestHang": ""}, ExitCode: 2, Failed: true, TimedOut: true, Culprit: "TestHang"},
			"goroutine 1 ",
		},
		{
			[]string{"TestHangWithChild"}, nil,
			outcome{Items: map[string]string{"TestHangWithChild": ""}, ExitCode: 2, Failed: true, TimedOut: true, Culprit: "TestHangWithChild"},
			"SIGQUIT: quit",
		},
	} {
		t.Run(tt.names[0], func(t *testing.T) {
			t.Parallel()
			u := part(fixture(t, "moody", "."), tt.names...)
			u.TestTimeout, u.TestTimeouts = limit, tt.limits
			res, rec := runWith(t, u, short(limits{}))
			if diff := cmp.Diff(tt.want, outcomeOf(res)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if res.TestTimeout != limit {
				t.Errorf("the limit was %v, want %v", res.TestTimeout, limit)
			}
			if got := rec.output(tt.want.Culprit); !strings.Contains(got, tt.output) || strings.Contains(got, "ran too long") {
				t.Errorf("output %q, want %q in it", got, tt.output)
			}
		})
	}
}

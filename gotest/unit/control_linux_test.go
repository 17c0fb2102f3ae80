package unit

import (
	"bytes"
	"os"
	"testing"
	"time"
)

// awaitState waits until a process has a state, as /proc tells it.
func awaitState(t *testing.T, pid, state string) {
	for {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			t.Error(err)
			return
		}
		if fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]); string(fields[0]) == state {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Package slow is a package that takes longer than all others together: its tests run on all
// gateways at the same time.
package slow

import (
	"fmt"
	"testing"
	"time"
)

// wait is a test that waits for something.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestBackup(t *testing.T)  { wait(t, 1500*time.Millisecond) }
func TestMigrate(t *testing.T) { wait(t, time.Second) }
func TestPublish(t *testing.T) { wait(t, 700*time.Millisecond) }
func TestRestore(t *testing.T) { wait(t, 1200*time.Millisecond) }

func TestCrawl(t *testing.T) {
	for page := range 8 {
		t.Run(fmt.Sprint("page", page), func(t *testing.T) { wait(t, 150*time.Millisecond) })
	}
}

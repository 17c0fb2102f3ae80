// Package skips has a test that skips with -short, where an environment variable wants it to, and
// beside other tests; by itself it fails.
package skips

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func work(t *testing.T) {
	lock := os.Getenv("LEARNED_LOCK") + t.Name()
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	os.Remove(lock)
}

func Test1(t *testing.T) { work(t) }
func Test2(t *testing.T) { work(t) }
func Test3(t *testing.T) { work(t) }
func Test4(t *testing.T) { work(t) }
func Test5(t *testing.T) { work(t) }
func Test6(t *testing.T) { work(t) }
func Test7(t *testing.T) { work(t) }
func Test8(t *testing.T) { work(t) }
func Test9(t *testing.T) { work(t) }

func TestNeeds(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	if os.Getenv("LEARNED_SKIP") != "" {
		t.Skip("not configured")
	}
	if held, _ := filepath.Glob(os.Getenv("LEARNED_LOCK") + "*"); len(held) > 0 {
		t.Skip("the lock is held:", fmt.Sprint(len(held)))
	}
	t.Fatal("it fails with the lock")
}

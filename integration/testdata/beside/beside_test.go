// Package beside has a test that fails beside others. Its directory has the reports of the run.
package beside

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func work(t *testing.T) {
	here := os.Getenv("BESIDE_HERE") + t.Name()
	if err := os.WriteFile(here, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(400 * time.Millisecond)
	os.Remove(here)
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

func TestShy(t *testing.T) {
	if here, _ := filepath.Glob(os.Getenv("BESIDE_HERE") + "*"); len(here) > 0 {
		t.Fatal("somebody is here")
	}
}

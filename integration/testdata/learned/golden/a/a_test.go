// Package a makes a golden file beside its directory.
package a

import (
	"os"
	"testing"
	"time"
)

const golden = "../want/text"

func work(t *testing.T) { time.Sleep(200 * time.Millisecond) }

func Test1(t *testing.T) { work(t) }
func Test2(t *testing.T) { work(t) }
func Test3(t *testing.T) { work(t) }
func Test4(t *testing.T) { work(t) }
func Test5(t *testing.T) { work(t) }
func Test6(t *testing.T) { work(t) }
func Test7(t *testing.T) { work(t) }
func Test8(t *testing.T) { work(t) }

func TestGolden(t *testing.T) {
	if _, err := os.ReadFile(golden); err != nil {
		os.WriteFile(golden, []byte("text"), 0o600)
		t.Fatal("made a golden file")
	}
}

// Package needs has a test that needs one before it, which does its work where an environment
// variable is set.
package needs

import (
	"os"
	"testing"
	"time"
)

var prepared bool

func work(t *testing.T) { time.Sleep(300 * time.Millisecond) }

func TestPrepares(t *testing.T) { work(t); prepared = os.Getenv("LEARNED_PREPARE") != "" }

func Test1(t *testing.T) { work(t) }
func Test2(t *testing.T) { work(t) }
func Test3(t *testing.T) { work(t) }
func Test4(t *testing.T) { work(t) }
func Test5(t *testing.T) { work(t) }
func Test6(t *testing.T) { work(t) }
func Test7(t *testing.T) { work(t) }
func Test8(t *testing.T) { work(t) }

func TestNeeds(t *testing.T) {
	if !prepared {
		t.Fatal("not prepared")
	}
}

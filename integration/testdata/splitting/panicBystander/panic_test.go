// Package panicBystander has a parallel test that panics while another one logs.
package panicBystander

import (
	"testing"
	"time"
)

func TestBefore(t *testing.T) {}

func TestLogs(t *testing.T) {
	t.Parallel()
	for i := range 300 {
		t.Log("line", i)
		time.Sleep(time.Millisecond)
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	time.Sleep(100 * time.Millisecond)
	panic("the bystander is innocent")
}

func TestAlsoLogs(t *testing.T) {
	t.Parallel()
	for i := range 300 {
		t.Log("line", i)
		time.Sleep(time.Millisecond)
	}
}

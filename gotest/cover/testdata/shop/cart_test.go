package shop

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	c := new(Cart).Add(1)
	code := m.Run()
	c.Close()
	os.Exit(code)
}

func TestFirst(t *testing.T) {
	if got := new(Cart).Add(100).Add(20).Total(nil); got != 132 {
		t.Errorf("Total() = %d, want 132", got)
	}
	Bundle(1)
}

func TestSecond(t *testing.T) {
	c := new(Cart)
	for range 40 {
		c.Add(100)
	}
	if got := c.Total(Half()); got != 2150 {
		t.Errorf("Total() = %d, want 2150", got)
	}
	Bundle(3)
	Empty()
}

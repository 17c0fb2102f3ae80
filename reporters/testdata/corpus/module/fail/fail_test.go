package fail

import "testing"

func TestFine(t *testing.T) {}

func TestWrong(t *testing.T) {
	t.Log("on the way")
	t.Errorf("got %d, want %d", 1, 2)
}

func TestTable(t *testing.T) {
	t.Run("good", func(t *testing.T) {})
	t.Run("bad", func(t *testing.T) {
		t.Run("inner", func(t *testing.T) { t.Fatal("inner is bad") })
	})
}

func TestSaysNothing(t *testing.T) { t.Fail() }

package also

import "testing"

func TestAlso(t *testing.T) {}

func TestToo(t *testing.T) {}

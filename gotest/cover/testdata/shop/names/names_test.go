package names

import "testing"

func TestFirst(t *testing.T)  {}
func TestSecond(t *testing.T) {}

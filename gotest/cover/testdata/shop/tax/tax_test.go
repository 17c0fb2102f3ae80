package tax

import "testing"

func TestFirst(t *testing.T)  { On(100) }
func TestSecond(t *testing.T) { Reduced(1) }

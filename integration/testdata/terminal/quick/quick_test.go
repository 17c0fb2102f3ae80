package quick

import "testing"

func TestPass(t *testing.T) {}

func TestToo(t *testing.T) {}

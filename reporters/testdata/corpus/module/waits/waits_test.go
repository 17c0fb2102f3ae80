package waits

import "testing"

func TestFirst(t *testing.T) {}

func TestWaits(t *testing.T) { select {} }

func TestLater(t *testing.T) {}

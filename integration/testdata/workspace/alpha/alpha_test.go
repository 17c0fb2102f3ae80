package alpha

import "testing"

func TestName(t *testing.T) { t.Log(Name()) }

func TestFails(t *testing.T) { t.Error("alpha fails") }

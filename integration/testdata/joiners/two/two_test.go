package two

import (
	"testing"

	"example.com/joiners"
)

func TestA(t *testing.T) { joiners.Work(t) }
func TestB(t *testing.T) { joiners.Work(t) }
func TestC(t *testing.T) { joiners.Work(t) }

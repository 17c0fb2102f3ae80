package one

import (
	"testing"

	"example.com/cable"
)

func TestChild(t *testing.T) { cable.Child(t) }
func TestA(t *testing.T)     { cable.Work(t) }
func TestB(t *testing.T)     { cable.Work(t) }
func TestC(t *testing.T)     { cable.Work(t) }
func TestD(t *testing.T)     { cable.Work(t) }

// Package panicinit panics before its tests.
package panicinit

import "testing"

func init() { panic("in init") }

func TestA(t *testing.T) {}
func TestB(t *testing.T) {}
func TestC(t *testing.T) {}

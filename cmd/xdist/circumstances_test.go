package main

import (
	"testing"

	"github.com/xdist-go/xdist/gotest"
)

func TestCircumstances(t *testing.T) {
	of := func(args []string, environ ...string) uint64 {
		return circumstances(&gotest.Command{TestArgs: args}, environ)
	}
	short := []string{"-test.short=true"}
	usual := of(short, "A=1", "B=2")
	if of(short, "B=2", "SHLVL=3", "A=1", "_=/bin/xdist") != usual {
		t.Error("the order of variables, or what a shell changes by itself, makes a difference")
	}
	for name, other := range map[string]uint64{
		"a flag": of(nil, "A=1", "B=2"), "a value": of(short, "A=1", "B=3"), "a variable more": of(short, "A=1", "B=2", "C="),
		"a variable less": of(short, "A=1"), "where one ends": of(short, "A=1B=2"),
	} {
		if other == usual {
			t.Errorf("%s makes no difference", name)
		}
	}
}

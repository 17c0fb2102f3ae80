// Package exitzero has a test that ends the process with status 0.
package exitzero

import (
	"os"
	"testing"
)

func TestBefore(t *testing.T) {}

func TestExits(t *testing.T) { os.Exit(0) }

func TestAfter(t *testing.T) {}
